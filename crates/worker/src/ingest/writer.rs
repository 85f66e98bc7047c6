//! Writes batches: rows, counters and cursor in one transaction.
//!
//! A look beforehand says what of a batch is archived. What is new goes straight into `messages` by binary COPY; if the key
//! refuses a row after all, or a COMMIT had no answer, that batch alone goes through a staging table with
//! `ON CONFLICT DO NOTHING`. What has changed is replaced, if the export is to do that. A batch of which nothing has to be
//! written is told with a later one: an export of what is archived already costs a look, and a COMMIT now and then.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::retention::erasures;
use dce_core::store::transitions::{ClaimedRun, Fence, RunOptions, record_backend};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::batch::SealedBatch;
use super::books::Books;
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

/// Writes the batches of one attempt, several at once if there are sessions for it.
#[derive(Debug)]
pub struct Writer<'a> {
    sessions: &'a Sessions,
    fence: Fence,
    channel_id: Snowflake,
    options: RunOptions,
    /// Where what is missing is to be found.
    window: Option<Window>,
    books: Books,
    noted: Mutex<HashSet<u64>>,
    /// When the newest document so far was written.
    newest_export: Mutex<Option<DateTime<Utc>>>,
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
            books: Books::of(run),
            noted: Mutex::default(),
            newest_export: Mutex::default(),
        }
    }

    /// The documents are files that somebody has: what they say of their channel may be long past, and nobody knows what
    /// was left out of them.
    #[must_use]
    pub fn of_files(self) -> Self {
        Self { books: self.books.of_files(), window: None, ..self }
    }

    /// How many batches may be written at once.
    pub const fn lanes(&self) -> usize {
        self.sessions.limit()
    }

    /// Where batches are written, and what is archived is looked up.
    pub(super) const fn sessions(&self) -> &'a Sessions {
        self.sessions
    }

    /// How far the run is, as far as it was told.
    pub const fn books(&self) -> &Books {
        &self.books
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
        let ledger = self.books.ledger().await;
        let has_read = ledger.low_water() > 0 || says_empty;
        let range = window.rest(ledger.checkpoint().cursor).filter(|_| has_read && ledger.is_in_order());
        match range {
            Some(range) => self.commit(Job::Rest(range), |ledger, _| ledger.clone()).await,
            None => Ok(()),
        }
    }

    /// After the last batch: writes what is still to be told, if anything is.
    /// `complete`: nothing will come below what was read.
    pub async fn finish(&self, complete: bool) -> Result<(), WriteError> {
        if !self.books.has_untold(complete).await {
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
            if !error.is_transient() {
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
            record_backend(&mut session.connection, &self.fence).await?;
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
                let after = |ledger: &Ledger| after(ledger, 0);
                let told = self.books.settle(tx, &self.fence, Written::default(), &after).await;
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
                if found.is_settled() && self.books.defer(&|ledger: &Ledger| after(ledger, 0)).await {
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
        if found.is_settled() && self.books.defer(&after).await {
            tx.rollback().await?; // everything in it is erased: there is nothing to commit
            return Ok(Done::All);
        }
        self.books.settle(tx, &self.fence, written, &after).await.map(|()| Done::All)
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
                self.books.settle(tx, &self.fence, Written::default(), &Ledger::clone).await?;
                Ok(if all { Done::All } else { Done::Part })
            }
            Err(error) => {
                tx.rollback().await?;
                Err(error)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
