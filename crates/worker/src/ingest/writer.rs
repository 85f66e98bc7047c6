//! Writes batches: rows, counters and cursor in one transaction.
//!
//! A look beforehand says what of a batch is archived. What is new goes straight into `messages` by binary COPY; if the key
//! refuses a row after all, or a COMMIT had no answer, that batch alone goes through a staging table with
//! `ON CONFLICT DO NOTHING`. What has changed is replaced, if the export is to do that. A batch of which nothing has to be
//! written is told with a later one: an export of what is archived already costs a look, and a COMMIT now and then.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
use dce_core::store::channels::{self, Channel, Described};
use dce_core::store::runs::{Checkpoint, ClaimedRun, Fence, RunOptions, checkpoint, note_backend};
use dce_core::store::{StoreError, erasures};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgTransaction};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::batch::SealedBatch;
use super::erasure;
use super::id_range::IdRange;
use super::ledger::Ledger;
use super::missing::{self, Gap, Window};
use super::probe::{self, Found};
use super::rows::{self, Way, Written};
use super::sessions::Sessions;
pub use super::write_error::WriteError;

/// A batch is repeated for so long while the database is away; the fence decides whether it may still be written.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one try may take: more than 2 MB need on a slow line, less than a run may stay silent for its lease.
const TRY_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// What needs no writing is told after this time.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Writes the batches of one attempt, several at once if there are sessions for it.
#[derive(Debug)]
pub struct Writer<'a> {
    sessions: &'a Sessions,
    fence: Fence,
    channel_id: Snowflake,
    options: RunOptions,
    /// Where what is missing is to be found.
    window: Option<Window>,
    /// Held from a checkpoint to the answer to its COMMIT, so that each says what all before it have committed.
    books: tokio::sync::Mutex<Books>,
    low_water: AtomicU64,
    messages: AtomicI64,
    channel: Mutex<Description>,
    as_of: Described,
    heard_of_channel: Arc<Notify>,
    noted: Mutex<HashSet<u64>>,
    /// When the newest document so far was written.
    newest_export: Mutex<Option<DateTime<Utc>>>,
}

#[derive(Debug, Default)]
struct Description {
    channel: Option<Arc<Channel>>,
    written: bool,
}

/// The ledger, and how much of it the database has been told.
#[derive(Debug)]
struct Books {
    ledger: Ledger,
    told_at: Option<Instant>,
    untold: bool,
}

/// What a transaction, or a few, are to do besides telling how far the run is.
#[derive(Debug, Clone, Copy)]
enum Job<'b> {
    /// Write a batch, and mark what it lacks of this range.
    Batch(&'b SealedBatch, Option<IdRange>),
    /// Mark everything in the range that is not marked.
    Rest(IdRange),
    /// Nothing else.
    Tell,
}

/// Whether there is more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    All,
    Part,
}

impl<'a> Writer<'a> {
    /// For the attempt that owns this run.
    pub fn new(sessions: &'a Sessions, run: &ClaimedRun) -> Self {
        Self {
            sessions,
            fence: run.fence.clone(),
            channel_id: run.channel_id,
            options: run.options.clone(),
            window: Window::of(run),
            books: tokio::sync::Mutex::new(Books { ledger: Ledger::of(run), told_at: None, untold: false }),
            low_water: AtomicU64::new(0),
            messages: AtomicI64::new(run.message_count),
            channel: Mutex::default(),
            as_of: Described::Now,
            heard_of_channel: Arc::default(),
            noted: Mutex::default(),
            newest_export: Mutex::default(),
        }
    }

    /// The documents are files that somebody has: what they say of their channel may be long past, and nobody knows what
    /// was left out of them.
    #[must_use]
    pub fn of_files(self) -> Self {
        Self { as_of: Described::Once, window: None, ..self }
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
    /// `in_order`: no id of the attempt so far was lower than one before it. `before`: the highest id in earlier batches.
    pub async fn write(
        &self,
        number: u64,
        batch: &SealedBatch,
        in_order: bool,
        before: Option<Snowflake>,
    ) -> Result<(), WriteError> {
        {
            let mut newest = lock(&self.newest_export);
            *newest = newest.max(batch.newest_export());
        }
        let last = batch.summary().span.map(|span| span.highest_id);
        let window = self.window.filter(|_| in_order);
        let answers_for = window.zip(last).and_then(|(window, last)| window.up_to(last, before));
        self.commit(Job::Batch(batch, answers_for), |ledger, erased| {
            let mut summary = *batch.summary();
            summary.counters.erased = erased;
            ledger.with(number, summary, in_order)
        })
        .await
    }

    /// DCE has read to the end of the window: what is archived above the last message is missing too, if the run is to
    /// find that. `says_empty`: DCE says that nothing is there. Without its word an attempt that got no message proves
    /// nothing, because a bot that may not read the history gets an empty list.
    pub async fn mark_rest(&self, says_empty: bool) -> Result<(), WriteError> {
        let Some(window) = self.window else { return Ok(()) };
        let range = {
            let books = self.books.lock().await;
            let has_read = books.ledger.low_water() > 0 || says_empty;
            window.rest(books.ledger.checkpoint().cursor).filter(|_| has_read && books.ledger.is_in_order())
        };
        match range {
            Some(range) => self.commit(Job::Rest(range), |ledger, _| ledger.clone()).await,
            None => Ok(()),
        }
    }

    /// After the last batch: writes what is still to be told, if anything is.
    /// `complete`: nothing will come below what was read.
    pub async fn finish(&self, complete: bool) -> Result<(), WriteError> {
        let untold = {
            let books = self.books.lock().await;
            let described = lock(&self.channel);
            books.untold
                || (complete && !books.ledger.is_in_order())
                || (described.channel.is_some() && !described.written)
        };
        if !untold {
            return Ok(());
        }
        self.commit(Job::Tell, |ledger, _| if complete { ledger.completed() } else { ledger.clone() }).await
    }

    /// `after`: the ledger once it is done, with so many messages left out because they are erased.
    async fn commit(&self, job: Job<'_>, after: impl Fn(&Ledger, u64) -> Ledger) -> Result<(), WriteError> {
        let mut started = Instant::now();
        let mut way = Way::Direct;
        loop {
            let tried = timeout(TRY_LIMIT, self.try_commit(job, &after, way)).await;
            let error = match tried.unwrap_or(Err(StoreError::TimedOut(TRY_LIMIT))) {
                Ok(Done::All) => return Ok(()),
                Ok(Done::Part) => {
                    started = Instant::now();
                    continue;
                }
                Err(StoreError::Lost) => return Err(WriteError::Lost),
                Err(error) => error,
            };
            // From now on through staging: a row is there already, or an unanswered COMMIT may have put them all there.
            way = Way::Staged;
            if error.is_duplicate() {
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
        job: Job<'_>,
        after: &impl Fn(&Ledger, u64) -> Ledger,
        way: Way,
    ) -> Result<Done, StoreError> {
        let mut session = self.sessions.acquire().await?;
        if !lock(&self.noted).contains(&session.serial) {
            note_backend(&mut session.connection, &self.fence).await?;
            lock(&self.noted).insert(session.serial);
        }
        let written = self.work(&mut session.connection, job, after, way).await;
        // Rolled back, the session is fit again, unless it was lost, or was opened while the database took no writes.
        if !written.as_ref().is_err_and(|error| error.is_unavailable() || error.is_read_only()) {
            session.give_back();
        }
        written
    }

    async fn work(
        &self,
        connection: &mut PgConnection,
        job: Job<'_>,
        after: &impl Fn(&Ledger, u64) -> Ledger,
        way: Way,
    ) -> Result<Done, StoreError> {
        match job {
            Job::Tell => {
                let tx = connection.begin().await?;
                let told = self.settle(tx, Written::default(), &|ledger: &Ledger| after(ledger, 0)).await;
                told.map(|()| Done::All)
            }
            Job::Rest(range) => self.mark(connection, range, None).await,
            Job::Batch(batch, answers_for) => {
                let found = probe::look(connection, batch, self.options.on_conflict, answers_for).await?;
                // Before the cursor moves beyond it, so that no attempt has to remember it.
                if let Some(range) = answers_for.filter(|_| found.lacks)
                    && self.mark(connection, range, Some(batch)).await? == Done::Part
                {
                    return Ok(Done::Part);
                }
                if found.is_settled() && self.defer(&|ledger: &Ledger| after(ledger, 0)).await {
                    return Ok(Done::All);
                }
                self.store(connection, batch, found, after, way).await
            }
        }
    }

    /// Writes what was found new or changed, but for what is erased.
    async fn store(
        &self,
        connection: &mut PgConnection,
        batch: &SealedBatch,
        mut found: Found,
        after: &impl Fn(&Ledger, u64) -> Ledger,
        way: Way,
    ) -> Result<Done, StoreError> {
        let mut tx = connection.begin_with(erasures::BEGIN_BATCH).await?;
        let stored = async {
            let erased = erasure::leave_out(&mut tx, batch, &mut found).await?;
            let written = rows::write(&mut tx, batch, &found, way, self.options.keep_versions).await?;
            Ok((written, erased))
        };
        let (written, erased) = match stored.await {
            Ok(stored) => stored,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        };
        let after = |ledger: &Ledger| after(ledger, erased);
        if found.is_settled() && self.defer(&after).await {
            tx.rollback().await?; // everything in it is erased: there is nothing to commit
            return Ok(Done::All);
        }
        self.settle(tx, written, &after).await.map(|()| Done::All)
    }

    /// Marks what is missing in the range; a transaction of its own, fenced like every other.
    async fn mark(
        &self,
        connection: &mut PgConnection,
        range: IdRange,
        batch: Option<&SealedBatch>,
    ) -> Result<Done, StoreError> {
        let as_of = batch.map_or_else(|| *lock(&self.newest_export), SealedBatch::newest_export);
        let gap = Gap { channel_id: self.channel_id, range, batch, as_of };
        let mut tx = connection.begin().await?;
        match missing::mark(&mut tx, &gap).await {
            Ok(all) => {
                self.settle(tx, Written::default(), &Ledger::clone).await?;
                Ok(if all { Done::All } else { Done::Part })
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    /// Keeps in mind what is to be told, if something was told not long ago.
    async fn defer(&self, after: &impl Fn(&Ledger) -> Ledger) -> bool {
        let mut books = self.books.lock().await;
        let is_due = books.told_at.is_none_or(|told_at| told_at.elapsed() > TOLD_EVERY);
        if is_due || !lock(&self.channel).written {
            return false;
        }
        books.ledger = after(&books.ledger);
        books.untold = true;
        true
    }

    /// The part that lanes do one after the other: channel, checkpoint, COMMIT.
    async fn settle(
        &self,
        mut tx: PgTransaction<'_>,
        written: Written,
        after: &impl Fn(&Ledger) -> Ledger,
    ) -> Result<(), StoreError> {
        let Written { inserted, updated } = written;
        let mut books = self.books.lock().await;
        let next = after(&books.ledger);
        let told = {
            let described = lock(&self.channel);
            described.channel.clone().filter(|_| inserted > 0 || !described.written)
        };
        let written = async {
            if let Some(channel) = &told {
                channels::upsert(&mut tx, channel, self.as_of, inserted).await?;
            }
            let at = Checkpoint { inserted, updated, ..next.checkpoint().clone() };
            checkpoint(&mut tx, &self.fence, &at).await
        };
        if let Err(error) = written.await {
            tx.rollback().await?;
            return Err(error);
        }
        tx.commit().await?;
        self.low_water.store(next.low_water(), Ordering::Relaxed);
        self.messages.store(next.checkpoint().message_count, Ordering::Relaxed);
        *books = Books { ledger: next, told_at: Some(Instant::now()), untold: false };
        if told.is_some() {
            lock(&self.channel).written = true;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
