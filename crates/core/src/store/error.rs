//! Errors of the store, classified by SQLSTATE.

use std::time::Duration;

use crate::db;
use crate::queue::QueueError;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed, or the database is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The queue refused.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database is out of reach, or overloaded.
    #[error("the database did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The fence no longer holds: the run has another owner, or none.
    #[error("the run no longer belongs to this worker")]
    Lost,
    /// A state change touched another number of rows than required.
    #[error("{statement} touched {touched} rows")]
    Unexpected { statement: &'static str, touched: u64 },
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

    /// The database is unreachable, starting, stopping, or has no free connection.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::TimedOut(_)) || self.database().is_some_and(db::is_unreachable)
    }

    /// The database answers but lacks disk, memory or locks (53…), or met an error of its system (58…). An operator may
    /// have to act.
    pub fn is_exhausted(&self) -> bool {
        self.code().is_some_and(|code| code != "53300" && (code.starts_with("53") || code.starts_with("58")))
    }

    /// A row with this key exists already (23505).
    pub fn is_duplicate(&self) -> bool {
        self.code().as_deref() == Some("23505")
    }

    /// The statement was cancelled (57014): by its session's time limit, or on request.
    pub fn is_cancelled(&self) -> bool {
        self.code().as_deref() == Some("57014")
    }

    /// The database accepts no writes (25006), e.g. a free Supabase project over 500 MB.
    pub fn is_read_only(&self) -> bool {
        self.code().as_deref() == Some("25006")
    }

    /// A table, column or function does not exist (42P01, 42703, 42883): the migrations have not run.
    pub fn is_schema_missing(&self) -> bool {
        matches!(self.code().as_deref(), Some("42P01" | "42703" | "42883"))
    }

    /// Repeating the whole transaction may help: a lock or idle limit, a deadlock, a terminated or lost session.
    pub fn is_transient(&self) -> bool {
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
