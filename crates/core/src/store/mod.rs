//! All SQL on our tables. Each transition is one transaction that locks in one order: exports row, run, task,
//! admission lock, COMMIT. What depends on a lock is read in a later statement: a statement sees only what was
//! committed before it began. Time is `clock_timestamp()`: `now()` is as old as its transaction.

pub mod admission;
pub mod archive;
pub mod backends;
pub mod channels;
pub mod control;
pub mod ends;
pub mod erasures;
pub mod exports;
pub mod idempotency;
pub mod imports;
pub mod listing;
pub mod messages;
pub mod progress;
pub mod prune;
pub mod pulse;
pub mod purge;
pub mod rate_limits;
pub mod reconcile;
pub mod removal;
pub mod runs;
pub mod tokens;
pub mod view;
pub mod waiting;
pub mod workers;

use std::time::Duration;

use crate::db;
use crate::queue::QueueError;

pub use exports::{Created, NewExport, Submission, Submitted};
pub use listing::ExportSummary;
pub use view::{AttemptView, ExportView, RunView};

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed, or the database is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The queue refused.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// No answer came in time: the database is out of reach, or overloaded.
    #[error("the database did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The fence did not hold: the run has another owner, or none, by now.
    #[error("the run is no longer this worker's")]
    Lost,
    /// A state change touched another number of rows than it must.
    #[error("{statement} touched {touched} rows")]
    Unexpected {
        /// Which statement.
        statement: &'static str,
        /// How many rows it touched.
        touched: u64,
    },
}

impl StoreError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) | Self::Queue(QueueError::Database(error)) => Some(error),
            _ => None,
        }
    }

    fn code(&self) -> Option<String> {
        match self.database()? {
            sqlx::Error::Database(error) => error.code().map(std::borrow::Cow::into_owned),
            _ => None,
        }
    }

    /// The database is away, starting, stopping, or has no free connection.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::TimedOut(_)) || self.database().is_some_and(db::is_away)
    }

    /// The database answers but lacks disk, memory or locks (53…), or its own system failed it (58…). Someone may have to
    /// look after it.
    pub fn is_exhausted(&self) -> bool {
        self.code().is_some_and(|code| code != "53300" && (code.starts_with("53") || code.starts_with("58")))
    }

    /// A row with this key is there already (23505).
    pub fn is_duplicate(&self) -> bool {
        self.code().as_deref() == Some("23505")
    }

    /// The statement was cancelled (57014): it took longer than its session allows, or somebody asked for it.
    pub fn is_cancelled(&self) -> bool {
        self.code().as_deref() == Some("57014")
    }

    /// The database takes no writes (25006), e.g. a free Supabase project over 500 MB.
    pub fn is_read_only(&self) -> bool {
        self.code().as_deref() == Some("25006")
    }

    /// A table, column or function is not there (42P01, 42703, 42883): nobody ran the migrations.
    pub fn is_schema_missing(&self) -> bool {
        matches!(self.code().as_deref(), Some("42P01" | "42703" | "42883"))
    }

    /// Repeating the whole transaction can help: a lock or idle limit, a deadlock, a terminated or lost session.
    pub fn is_passing(&self) -> bool {
        // 55P03 lock_timeout, 57014 statement_timeout, 25P03 idle_in_transaction, 40P01 deadlock, 40001 serialization.
        self.is_unavailable()
            || self.is_exhausted()
            || matches!(self.code().as_deref(), Some("55P03" | "57014" | "25P03" | "40P01" | "40001"))
    }
}

/// Guards a state change: it touches exactly one row, or the transaction must not commit.
pub(crate) fn exactly_one(statement: &'static str, touched: u64) -> Result<(), StoreError> {
    if touched == 1 { Ok(()) } else { Err(StoreError::Unexpected { statement, touched }) }
}

/// How often a transition is repeated before its error is given to the caller.
const REPEATS: u32 = 5;
/// Pause before a repetition.
const REPEAT_PAUSE: Duration = Duration::from_millis(200);
/// How long one try may take. The server ends each statement after 4 s; this is for a server that is out of reach although
/// the connection stands, which no timeout of TCP ends within minutes.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Bounds a query from this side. Cut off, its connection goes back to the pool only if it answers.
pub async fn in_time<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_LIMIT, query).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::TimedOut(ANSWER_LIMIT)),
    }
}

/// Repeats a transition that met a passing error. The transition itself must find out whether an earlier try of its
/// own committed although its answer was lost.
pub(crate) async fn repeated<T, F>(transition: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut repeats = 0;
    loop {
        match in_time(transition()).await {
            Err(error) if error.is_passing() && repeats < REPEATS => {
                repeats += 1;
                tracing::debug!(error = %error, repeats, "transition.repeated");
                tokio::time::sleep(REPEAT_PAUSE).await;
            }
            done => return done,
        }
    }
}
