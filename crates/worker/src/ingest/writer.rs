//! Writes batches: rows, counters and cursor in one transaction. The only SQL on our tables outside of the store.
//!
//! A batch goes straight into `messages` by binary COPY, unless a look beforehand finds some of it archived. Then, or if
//! the key refuses a row after all, or a COMMIT had no answer, that batch alone goes through a staging table with
//! `ON CONFLICT DO NOTHING`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dce_core::store::StoreError;
use dce_core::store::channels::{self, Channel, Described};
use dce_core::store::runs::{Checkpoint, ClaimedRun, Fence, checkpoint, note_backend};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgTransaction};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::batch::{COPY_COLUMNS, SealedBatch};
use super::ledger::Ledger;
use super::sessions::{Session, Sessions};

/// COPY data goes out in pieces of this size: the client copies each piece once more.
const PIECE: usize = 64 << 10;
/// A batch is repeated for so long while the database is away; the fence decides whether it may still be written.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one try may take: more than 2 MB need on a slow line, less than a run may stay silent for its lease.
const TRY_LIMIT: Duration = Duration::from_secs(30);
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
    /// The database takes no writes.
    #[error("the database is read-only: {0}")]
    ReadOnly(#[source] StoreError),
    /// The database answers, but lacked what it needs for longer than a batch is repeated.
    #[error("the database is short of something: {0}")]
    Exhausted(#[source] StoreError),
    /// The database refused the rows.
    #[error("the database refused the rows: {0}")]
    Refused(#[source] StoreError),
}

/// Writes the batches of one attempt, several at once if there are sessions for it.
#[derive(Debug)]
pub struct Writer<'a> {
    sessions: &'a Sessions,
    fence: Fence,
    /// Held from a checkpoint to the answer to its COMMIT, so that each says what all before it have committed.
    ledger: tokio::sync::Mutex<Ledger>,
    low_water: AtomicU64,
    messages: AtomicI64,
    channel: Mutex<Description>,
    as_of: Described,
    heard_of_channel: Arc<Notify>,
    noted: Mutex<HashSet<u64>>,
}

#[derive(Debug, Default)]
struct Description {
    channel: Option<Arc<Channel>>,
    written: bool,
}

impl<'a> Writer<'a> {
    /// For the attempt that owns this run.
    pub fn new(sessions: &'a Sessions, run: &ClaimedRun) -> Self {
        Self {
            sessions,
            fence: run.fence.clone(),
            ledger: tokio::sync::Mutex::new(Ledger::of(run)),
            low_water: AtomicU64::new(0),
            messages: AtomicI64::new(run.message_count),
            channel: Mutex::default(),
            as_of: Described::Now,
            heard_of_channel: Arc::default(),
            noted: Mutex::default(),
        }
    }

    /// The documents are files that somebody has: what they say of their channel may be long past.
    #[must_use]
    pub fn of_files(self) -> Self {
        Self { as_of: Described::Once, ..self }
    }

    /// How many batches may be written at once.
    pub const fn lanes(&self) -> usize {
        self.sessions.limit()
    }

    /// What DCE says of the channel; written with the next batch.
    pub fn describe(&self, channel: Channel) {
        lock(&self.channel).channel = Some(Arc::new(channel));
        self.heard_of_channel.notify_one();
    }

    /// Whether DCE has said anything of the channel.
    pub fn is_described(&self) -> bool {
        lock(&self.channel).channel.is_some()
    }

    /// Returns once DCE has said anything of the channel, which takes an answer of Discord.
    pub fn described(&self) -> impl Future<Output = ()> + Send + use<> {
        let heard = Arc::clone(&self.heard_of_channel);
        async move { heard.notified().await }
    }

    /// Batches with a lower number are committed. Without the ledger's lock: a lane of the same task may hold it.
    pub fn low_water(&self) -> u64 {
        self.low_water.load(Ordering::Relaxed)
    }

    /// Messages of the run below its cursor, over all attempts. Without the ledger's lock, as above.
    pub fn messages(&self) -> i64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Writes a batch and what it means for the cursor, or neither. Batches are numbered from 0 in the document's order.
    /// `in_order`: no id of the attempt so far was lower than one before it.
    pub async fn write(&self, number: u64, batch: &SealedBatch, in_order: bool) -> Result<(), WriteError> {
        self.commit(Some(batch), |ledger| ledger.with(number, *batch.summary(), in_order)).await
    }

    /// After the last batch: writes what is still to be told, if anything is.
    /// `complete`: nothing will come below what was read.
    pub async fn finish(&self, complete: bool) -> Result<(), WriteError> {
        let untold = {
            let ledger = self.ledger.lock().await;
            let described = lock(&self.channel);
            (complete && ledger.completed().low_water() != ledger.low_water())
                || (described.channel.is_some() && !described.written)
        };
        if !untold {
            return Ok(());
        }
        self.commit(None, |ledger| if complete { ledger.completed() } else { ledger.clone() }).await
    }

    async fn commit(
        &self,
        batch: Option<&SealedBatch>,
        after: impl Fn(&Ledger) -> Ledger,
    ) -> Result<(), WriteError> {
        let started = Instant::now();
        let mut way = Way::Direct;
        loop {
            let tried = timeout(TRY_LIMIT, self.try_commit(batch, &after, way)).await;
            let error = match tried.unwrap_or(Err(StoreError::TimedOut(TRY_LIMIT))) {
                Ok(()) => return Ok(()),
                Err(StoreError::Lost) => return Err(WriteError::Lost),
                Err(error) => error,
            };
            // From now on through staging: a row is there already, or an unanswered COMMIT may have put them all there.
            way = Way::Staged;
            if is_duplicate(&error) {
                continue;
            }
            if error.is_read_only() {
                return Err(WriteError::ReadOnly(error));
            }
            if !error.is_passing() {
                return Err(WriteError::Refused(error));
            }
            if started.elapsed() > PATIENCE {
                let exhausted = error.is_exhausted();
                return Err(if exhausted {
                    WriteError::Exhausted(error)
                } else {
                    WriteError::Unavailable(error)
                });
            }
            tracing::debug!(run_id = %self.fence.run_id, error = %error, "batch.repeated");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_commit(
        &self,
        batch: Option<&SealedBatch>,
        after: &impl Fn(&Ledger) -> Ledger,
        way: Way,
    ) -> Result<(), StoreError> {
        let mut session = self.sessions.acquire().await?;
        if !lock(&self.noted).contains(&session.serial) {
            note_backend(&mut session.connection, &self.fence).await?;
            lock(&self.noted).insert(session.serial);
        }
        let written = self.transaction(&mut session, batch, after, way).await;
        // Rolled back, the session is fit again, unless it was lost, or was opened while the database took no writes.
        if !written.as_ref().is_err_and(|error| error.is_unavailable() || error.is_read_only()) {
            session.give_back();
        }
        written
    }

    async fn transaction(
        &self,
        session: &mut Session<'_>,
        batch: Option<&SealedBatch>,
        after: &impl Fn(&Ledger) -> Ledger,
        way: Way,
    ) -> Result<(), StoreError> {
        let mut tx = session.connection.begin().await?;
        match self.rows(&mut tx, batch, way).await {
            Ok(inserted) => self.settle(tx, inserted, after).await,
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    /// The part that lanes do at the same time. Returns how many rows are new.
    async fn rows(
        &self,
        tx: &mut PgConnection,
        batch: Option<&SealedBatch>,
        way: Way,
    ) -> Result<i64, StoreError> {
        let Some(batch) = batch else { return Ok(0) };
        let inserted = match way {
            Way::Staged => copy_through_staging(tx, batch).await?,
            Way::Direct => match probe(tx, batch).await? {
                Archived::Nothing => copy(tx, &COPY, batch).await?,
                Archived::Some => copy_through_staging(tx, batch).await?,
                Archived::Everything => 0,
            },
        };
        Ok(i64::try_from(inserted).unwrap_or(i64::MAX))
    }

    /// The part that lanes do one after the other: channel, checkpoint, COMMIT.
    async fn settle(
        &self,
        mut tx: PgTransaction<'_>,
        inserted: i64,
        after: &impl Fn(&Ledger) -> Ledger,
    ) -> Result<(), StoreError> {
        let mut ledger = self.ledger.lock().await;
        let next = after(&ledger);
        let told = {
            let described = lock(&self.channel);
            described.channel.clone().filter(|_| inserted > 0 || !described.written)
        };
        let written = async {
            if let Some(channel) = &told {
                channels::upsert(&mut tx, channel, self.as_of, inserted).await?;
            }
            checkpoint(&mut tx, &self.fence, &Checkpoint { inserted, ..next.checkpoint().clone() }).await
        };
        if let Err(error) = written.await {
            tx.rollback().await?;
            return Err(error);
        }
        tx.commit().await?;
        *ledger = next;
        self.low_water.store(ledger.low_water(), Ordering::Relaxed);
        self.messages.store(ledger.checkpoint().message_count, Ordering::Relaxed);
        if told.is_some() {
            lock(&self.channel).written = true;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Direct,
    Staged,
}

/// How much of a batch is archived already. A hint that saves work, not the guarantee: that is the key.
#[derive(Debug, Clone, Copy)]
enum Archived {
    Nothing,
    Some,
    Everything,
}

/// A look at the batch's window first: on a new channel it finds nothing there and costs one round trip.
async fn probe(connection: &mut PgConnection, batch: &SealedBatch) -> Result<Archived, StoreError> {
    let Some(span) = batch.summary().span else { return Ok(Archived::Nothing) };
    let channel = batch.channel_id().to_string();
    let any: bool = sqlx::query_scalar(
        r#"SELECT EXISTS (SELECT FROM messages WHERE channel_id = $1 AND "timestamp" BETWEEN $2 AND $3)"#,
    )
    .bind(&channel)
    .bind(span.oldest_at)
    .bind(span.newest_at)
    .fetch_one(&mut *connection)
    .await?;
    if !any {
        return Ok(Archived::Nothing);
    }
    let ids: Vec<String> = batch.ids().iter().map(ToString::to_string).collect();
    let unknown: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM unnest($2::text[]) AS b (id)
          WHERE NOT EXISTS (SELECT FROM messages m WHERE m.channel_id = $1 AND m.message_id = b.id)",
    )
    .bind(&channel)
    .bind(&ids)
    .fetch_one(connection)
    .await?;
    Ok(match unknown {
        0 => Archived::Everything,
        unknown if unknown.unsigned_abs() == batch.summary().rows => Archived::Nothing,
        _ => Archived::Some,
    })
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
