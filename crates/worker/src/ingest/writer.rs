//! Writes batches: rows, counters and cursor in one transaction. The only SQL on our tables outside of the store.
//!
//! A batch goes straight into `messages` by binary COPY. If one of its rows is there already, that batch alone is
//! repeated through a staging table with `ON CONFLICT DO NOTHING`; so is one whose COMMIT had no answer.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::channels::{self, Channel};
use dce_core::store::runs::{Checkpoint, ClaimedRun, Fence, checkpoint, note_backend};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgTransaction};

use super::batch::{COPY_COLUMNS, SealedBatch};
use super::sessions::{Session, Sessions};

/// COPY data goes out in pieces of this size: the client copies each piece once more.
const PIECE: usize = 64 << 10;
/// A batch is repeated for so long while the database is away; the fence decides whether it may still be written.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

static COPY: LazyLock<String> =
    LazyLock::new(|| format!("COPY messages ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)"));
static COPY_STAGED: LazyLock<String> =
    LazyLock::new(|| format!("COPY staged_messages ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)"));
static MERGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO messages ({COPY_COLUMNS}) SELECT {COPY_COLUMNS} FROM staged_messages
         ON CONFLICT (channel_id, message_id) DO NOTHING"
    )
});

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The fence did not hold: somebody else owns the run. Nothing of the batch is stored.
    #[error("the run is no longer this worker's")]
    Lost,
    /// The database was away for longer than a batch is repeated.
    #[error("the database is away: {0}")]
    Unavailable(#[source] StoreError),
    /// The database refused the rows.
    #[error("the database refused the rows: {0}")]
    Refused(#[source] StoreError),
}

/// How far a run has come: what the next checkpoint says.
#[derive(Debug, Clone)]
pub struct Progress {
    at: Checkpoint,
    /// Committed, but not below the cursor because an id was out of order; counted when the document is through.
    above: Above,
}

#[derive(Debug, Clone, Copy, Default)]
struct Above {
    messages: i64,
    repaired: i64,
    highest: Option<Snowflake>,
}

impl Progress {
    /// Where an earlier attempt ended.
    pub fn of(run: &ClaimedRun) -> Self {
        let at = Checkpoint {
            cursor: run.cursor,
            last: run.cursor,
            message_count: run.message_count,
            repaired_count: run.repaired_count,
            bytes_read: run.bytes_read,
            ..Checkpoint::default()
        };
        Self { at, above: Above::default() }
    }

    /// Messages of the run that are stored, over all attempts.
    pub const fn messages(&self) -> i64 {
        self.at.message_count + self.above.messages
    }

    /// After this batch. DCE writes in the order of ids; if it ever does not, the cursor stands still until everything
    /// is through, because a resume after it would skip what comes late.
    fn with(&self, batch: &SealedBatch, in_order: bool) -> Self {
        let summary = batch.summary();
        let mut next = self.clone();
        next.at.inserted = 0;
        next.at.bytes_read += i64::try_from(summary.bytes_read).unwrap_or(i64::MAX);
        next.above.messages += i64::try_from(summary.rows).unwrap_or(i64::MAX);
        next.above.repaired += i64::try_from(summary.repaired_messages).unwrap_or(i64::MAX);
        let Some(span) = summary.span else { return next };
        next.at.newest_at = next.at.newest_at.max(Some(span.newest_at));
        next.at.first = Some(next.at.first.map_or(span.lowest_id, |first| first.min(span.lowest_id)));
        next.above.highest = next.above.highest.max(Some(span.highest_id));
        if in_order {
            next.settle();
        }
        next
    }

    /// Everything is through: what was out of order counts now.
    fn settle(&mut self) {
        let above = std::mem::take(&mut self.above);
        self.at.cursor = self.at.cursor.max(above.highest);
        self.at.last = self.at.cursor;
        self.at.message_count += above.messages;
        self.at.repaired_count += above.repaired;
    }
}

/// Writes the batches of one attempt.
#[derive(Debug)]
pub struct Writer<'a> {
    sessions: &'a Sessions,
    fence: Fence,
    progress: Progress,
    channel: Option<Channel>,
    channel_written: bool,
    noted: HashSet<u64>,
}

impl<'a> Writer<'a> {
    /// For the attempt that owns this run.
    pub fn new(sessions: &'a Sessions, run: &ClaimedRun) -> Self {
        Self {
            sessions,
            fence: run.fence.clone(),
            progress: Progress::of(run),
            channel: None,
            channel_written: false,
            noted: HashSet::new(),
        }
    }

    /// How far the run has come.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What DCE says of the channel; written with the next batch.
    pub fn describe(&mut self, channel: Channel) {
        self.channel = Some(channel);
    }

    /// Writes a batch and moves the cursor, or neither.
    /// `in_order`: no id of the attempt so far was lower than one before it.
    pub async fn write(&mut self, batch: &SealedBatch, in_order: bool) -> Result<(), WriteError> {
        let next = self.progress.with(batch, in_order);
        self.commit(Some(batch), next).await
    }

    /// After the last batch: writes what is still to be told, if anything is.
    /// `complete`: nothing will come below what was read.
    pub async fn finish(&mut self, complete: bool) -> Result<(), WriteError> {
        let mut next = self.progress.clone();
        next.at.inserted = 0;
        if complete {
            next.settle();
        }
        let untold = next.at.message_count != self.progress.at.message_count;
        if untold || (self.channel.is_some() && !self.channel_written) {
            self.commit(None, next).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, batch: Option<&SealedBatch>, next: Progress) -> Result<(), WriteError> {
        let started = Instant::now();
        let mut way = Way::Direct;
        loop {
            let error = match self.try_commit(batch, &next, way).await {
                Ok(()) => {
                    self.progress = next;
                    self.channel_written |= self.channel.is_some();
                    return Ok(());
                }
                Err(StoreError::Lost) => return Err(WriteError::Lost),
                Err(error) => error,
            };
            // From now on through staging: a row is there already, or an unanswered COMMIT may have put them all there.
            way = Way::Staged;
            if is_duplicate(&error) {
                continue;
            }
            if !error.is_passing() {
                return Err(WriteError::Refused(error));
            }
            if started.elapsed() > PATIENCE {
                return Err(WriteError::Unavailable(error));
            }
            tracing::warn!(run_id = %self.fence.run_id, error = %error, "batch.repeated");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_commit(
        &mut self,
        batch: Option<&SealedBatch>,
        next: &Progress,
        way: Way,
    ) -> Result<(), StoreError> {
        let mut session = self.sessions.acquire().await?;
        if !self.noted.contains(&session.serial) {
            note_backend(&mut session.connection, &self.fence).await?;
            self.noted.insert(session.serial);
        }
        let written = self.transaction(&mut session, batch, next, way).await;
        // Rolled back, the session is fit again, unless it is the session itself that was lost.
        if !written.as_ref().is_err_and(StoreError::is_unavailable) {
            session.give_back();
        }
        written
    }

    async fn transaction(
        &self,
        session: &mut Session<'_>,
        batch: Option<&SealedBatch>,
        next: &Progress,
        way: Way,
    ) -> Result<(), StoreError> {
        let mut tx = session.connection.begin().await?;
        let done = self.statements(&mut tx, batch, next, way).await;
        match done {
            Ok(()) => Ok(tx.commit().await?),
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    async fn statements(
        &self,
        tx: &mut PgTransaction<'_>,
        batch: Option<&SealedBatch>,
        next: &Progress,
        way: Way,
    ) -> Result<(), StoreError> {
        let inserted = match (batch, way) {
            (None, _) => 0,
            (Some(batch), Way::Direct) => copy(tx, &COPY, batch).await?,
            (Some(batch), Way::Staged) => copy_through_staging(tx, batch).await?,
        };
        let inserted = i64::try_from(inserted).unwrap_or(i64::MAX);
        if let Some(channel) = self.channel.as_ref().filter(|_| inserted > 0 || !self.channel_written) {
            channels::upsert(tx, channel, inserted).await?;
        }
        checkpoint(tx, &self.fence, &Checkpoint { inserted, ..next.at.clone() }).await
    }
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Direct,
    Staged,
}

async fn copy(
    connection: &mut PgConnection,
    statement: &str,
    batch: &SealedBatch,
) -> Result<u64, StoreError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for piece in batch.stream().chunks(PIECE) {
        if let Err(error) = copy.send(piece).await {
            // The server's reason comes with the answer to the end, if there is still a server.
            return Err(copy.finish().await.err().unwrap_or(error).into());
        }
    }
    Ok(copy.finish().await?)
}

async fn copy_through_staging(connection: &mut PgConnection, batch: &SealedBatch) -> Result<u64, StoreError> {
    sqlx::query("CREATE TEMP TABLE IF NOT EXISTS staged_messages (LIKE messages INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
        .execute(&mut *connection)
        .await?;
    copy(connection, &COPY_STAGED, batch).await?;
    let merged = sqlx::query(sqlx::AssertSqlSafe(MERGE.as_str())).execute(connection).await?;
    Ok(merged.rows_affected())
}

/// 23505: a row is there already.
fn is_duplicate(error: &StoreError) -> bool {
    matches!(error, StoreError::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
}
