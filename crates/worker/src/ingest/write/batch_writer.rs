//! Writes batches: rows, counters and cursor in one transaction.
//!
//! First the batch is compared with the archive. New messages go straight into `messages` by binary COPY. If the key refuses
//! a row after all, or a COMMIT had no answer, that batch goes through a staging table with `ON CONFLICT DO NOTHING`. Changed
//! messages are replaced, if the export asks for it. A batch without anything to write leaves its checkpoint to a later one:
//! an export of archived messages costs the comparison and a COMMIT now and then.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::batches::channel::DescriptionAge;
use dce_core::store::retention::erasures;
use dce_core::store::transitions::{ClaimedRun, Fence, RunOptions, record_backend};
use dce_ingest::copy::batch::SealedBatch;
use dce_ingest::copy::summary::Summary;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::checkpoint::CheckpointWriter;
use super::erasure;
use super::error::WriteError;
use super::existing_rows::{self, BatchDiff};
use super::insert::{self, InsertMethod, RowCounts};
use super::low_water_mark::{CommittedBatch, LowWaterMark};
use super::missing::{self, Coverage, Gap, ReadWindow};
use super::sessions::Sessions;
use super::window_end::WindowEnd;
use crate::ingest::read::delivery::ReadRange;
use crate::ingest::read::source::Author;
use crate::ingest::read::summary::ReadSummary;

/// Time for which a batch is retried while the database is unreachable; the fence decides whether it may still be written.
const RETRY_LIMIT: Duration = Duration::from_mins(1);
/// Time limit of one try: longer than 2 MB take on a slow line, shorter than a run's lease lasts without a sign of life.
const TRY_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Writes the batches of one attempt, several at the same time if there are sessions for it.
#[derive(Debug)]
pub(crate) struct BatchWriter<'a> {
    sessions: &'a Sessions,
    fence: Fence,
    channel_id: Snowflake,
    options: RunOptions,
    /// The range in which missing messages are to be found.
    window: Option<ReadWindow>,
    checkpoints: CheckpointWriter,
    /// Sessions that the run's row names.
    noted: Mutex<HashSet<u64>>,
    /// When the newest document so far was written.
    newest_export: Mutex<Option<DateTime<Utc>>>,
}

/// The work of one or more transactions, besides their checkpoints.
#[derive(Debug, Clone, Copy)]
enum Work<'b> {
    /// Write a batch, and mark the messages of this range that are missing.
    Batch(&'b SealedBatch, Option<Coverage<'b>>),
    /// Mark the messages of the range that are missing.
    MarkRest(Coverage<'b>, Option<DateTime<Utc>>),
    /// The checkpoint only.
    Checkpoint,
}

/// What the tries of one piece of work leave to the next.
#[derive(Debug)]
struct Tries {
    method: InsertMethod,
    /// Indexes of messages that a try has inserted. Its COMMIT may have succeeded without an answer: the next try finds them
    /// archived, and they count all the same.
    read_again: BTreeSet<usize>,
}

/// Whether all of the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    All,
    Part,
}

/// What a transaction decides about a batch, besides its rows.
#[derive(Debug, Default)]
struct Decided {
    /// Messages that were not written because they are erased.
    erased: u64,
    /// The messages that count because they are inserted.
    read_again: Summary,
}

impl Decided {
    /// `inserted`: indexes of the messages that this try, or an earlier one whose COMMIT may have succeeded, has inserted.
    fn new(batch: &SealedBatch, erased: u64, inserted: &BTreeSet<usize>) -> Self {
        let mut read_again = Summary::default();
        inserted.iter().filter_map(|index| batch.if_inserted(*index)).for_each(|one| read_again.merge(one));
        Self { erased, read_again }
    }
}

impl<'a> BatchWriter<'a> {
    /// A writer for the attempt that owns `run`.
    pub(crate) fn new(sessions: &'a Sessions, run: &ClaimedRun, author: Author) -> Self {
        // Files may describe their channel as it was long ago, and nobody knows which messages they lack.
        let (window, as_of) = match author {
            Author::OwnDce => (ReadWindow::new(run), DescriptionAge::Current),
            Author::Unknown => (None, DescriptionAge::Past),
        };
        Self {
            sessions,
            fence: run.fence.clone(),
            channel_id: run.channel_id,
            options: run.options.clone(),
            window,
            checkpoints: CheckpointWriter::new(run, as_of),
            noted: Mutex::default(),
            newest_export: Mutex::default(),
        }
    }

    /// Number of batches that can be written at the same time.
    pub(super) const fn parallelism(&self) -> usize {
        self.sessions.limit()
    }

    pub(crate) const fn checkpoints(&self) -> &CheckpointWriter {
        &self.checkpoints
    }

    /// Writes a batch and its checkpoint, or neither. Batches are numbered from 0 in the document's order. `in_order`: the
    /// attempt's messages so far were in order.
    pub(super) async fn write(
        &self,
        number: u64,
        batch: &SealedBatch,
        in_order: bool,
        range: &ReadRange,
    ) -> Result<(), WriteError> {
        self.note_export(batch.newest_export());
        let window = self.window.filter(|_| in_order);
        let covered = window
            .and_then(|window| window.completed_by(range))
            .map(|covered| Coverage { range: covered, present: &range.present });
        self.commit(Work::Batch(batch, covered), |mark, Decided { erased, read_again }| {
            let (summary, read_again) = (batch.summary().clone(), read_again.clone());
            mark.with(number, CommittedBatch { summary, erased: *erased, in_order, read_again })
        })
        .await
    }

    /// Marks archived messages above the last message as missing, if the run is to find missing messages. To be called once
    /// the run has read to the end of its window.
    pub(crate) async fn mark_rest(&self, read: &ReadSummary, end: &WindowEnd) -> Result<(), WriteError> {
        let Some(window) = self.window else { return Ok(()) };
        let mark = self.checkpoints.low_water_mark().await;
        let range = window.rest(read.end(), mark.checkpoint().cursor, end.upper).filter(|_| mark.has_all());
        let Some(range) = range else { return Ok(()) };
        let present = &read.present_at_end();
        self.commit(Work::MarkRest(Coverage { range, present }, end.as_of), |mark, _| mark.clone()).await
    }

    /// Notes when a document was begun; `None`: it does not say.
    pub(super) fn note_export(&self, exported_at: Option<DateTime<Utc>>) {
        let mut newest = lock(&self.newest_export);
        *newest = newest.max(exported_at);
    }

    /// Writes the last checkpoint, if the database lacks it. `complete`: no message will come below the last one.
    pub(crate) async fn finish(&self, complete: bool) -> Result<(), WriteError> {
        if !self.checkpoints.has_unwritten(complete).await {
            return Ok(());
        }
        self.commit(Work::Checkpoint, |mark, _| if complete { mark.completed() } else { mark.clone() }).await
    }

    /// Does the work and retries it. `after`: the low-water mark behind it.
    async fn commit(
        &self,
        work: Work<'_>,
        after: impl Fn(&LowWaterMark, &Decided) -> LowWaterMark,
    ) -> Result<(), WriteError> {
        let mut started = Instant::now();
        let mut tries = Tries { method: InsertMethod::Copy, read_again: BTreeSet::new() };
        loop {
            let tried = timeout(TRY_LIMIT, self.try_commit(work, &after, &mut tries)).await;
            let error = match tried.unwrap_or(Err(StoreError::TimedOut(TRY_LIMIT))) {
                Ok(Done::All) => return Ok(()),
                Ok(Done::Part) => {
                    started = Instant::now();
                    continue;
                }
                Err(StoreError::Lost) => return Err(WriteError::Lost),
                Err(error) => error,
            };
            // From now on through staging: a row exists already, or a COMMIT without an answer may have inserted them all.
            tries.method = InsertMethod::Staged;
            if error.is_duplicate() {
                continue;
            }
            if error.is_read_only() {
                return Err(WriteError::ReadOnly(error));
            }
            if !error.is_transient() {
                return Err(WriteError::Refused(error));
            }
            if started.elapsed() > RETRY_LIMIT {
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
        work: Work<'_>,
        after: &impl Fn(&LowWaterMark, &Decided) -> LowWaterMark,
        tries: &mut Tries,
    ) -> Result<Done, StoreError> {
        let mut session = self.sessions.acquire().await?;
        if !lock(&self.noted).contains(&session.serial) {
            record_backend(&mut session.connection, &self.fence).await?;
            lock(&self.noted).insert(session.serial);
        }
        let written = self.do_work(&mut session.connection, work, after, tries).await;
        // After a rollback the session is usable, unless it was lost, or was opened while the database was read-only.
        if !written.as_ref().is_err_and(|error| error.is_unavailable() || error.is_read_only()) {
            session.release();
        }
        written
    }

    async fn do_work(
        &self,
        connection: &mut PgConnection,
        work: Work<'_>,
        after: &impl Fn(&LowWaterMark, &Decided) -> LowWaterMark,
        tries: &mut Tries,
    ) -> Result<Done, StoreError> {
        match work {
            Work::Checkpoint => {
                let tx = connection.begin().await?;
                let after = |mark: &LowWaterMark| after(mark, &Decided::default());
                self.checkpoints.commit(tx, &self.fence, RowCounts::default(), &after).await?;
                Ok(Done::All)
            }
            Work::MarkRest(covered, as_of) => {
                // DCE read afterwards, too; Discord's `Date` has whole seconds.
                let as_of = as_of.max(*lock(&self.newest_export));
                self.mark(connection, covered, None, as_of).await
            }
            Work::Batch(batch, covered) => {
                let diff =
                    existing_rows::compare(connection, batch, self.options.on_conflict, covered).await?;
                // Before the cursor moves past them, so that no attempt has to remember them.
                if let Some(covered) = covered.filter(|_| diff.has_missing)
                    && self.mark(connection, covered, Some(batch), batch.newest_export()).await? == Done::Part
                {
                    return Ok(Done::Part);
                }
                if diff.is_empty() {
                    let decided = Decided::new(batch, 0, &tries.read_again);
                    if self.checkpoints.defer(&|mark: &LowWaterMark| after(mark, &decided)).await {
                        return Ok(Done::All);
                    }
                }
                self.store(connection, batch, diff, after, tries).await
            }
        }
    }

    /// Writes new and changed messages, except for erased ones.
    async fn store(
        &self,
        connection: &mut PgConnection,
        batch: &SealedBatch,
        mut diff: BatchDiff,
        after: &impl Fn(&LowWaterMark, &Decided) -> LowWaterMark,
        tries: &mut Tries,
    ) -> Result<Done, StoreError> {
        let mut tx = connection.begin_with(erasures::BEGIN_BATCH).await?;
        let stored = async {
            let erased = erasure::remove_erased(&mut tx, batch, &mut diff).await?;
            let keep_versions = self.options.keep_versions;
            let written = insert::write(&mut tx, batch, &diff, tries.method, keep_versions).await?;
            Ok((written, erased))
        };
        let (written, erased) = match stored.await {
            Ok(stored) => stored,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        };
        tries.read_again.extend(written.read_again);
        let decided = Decided::new(batch, erased, &tries.read_again);
        let after = |mark: &LowWaterMark| after(mark, &decided);
        if diff.is_empty() && self.checkpoints.defer(&after).await {
            tx.rollback().await?; // all of its messages are erased: there is nothing to commit
            return Ok(Done::All);
        }
        self.checkpoints.commit(tx, &self.fence, written.counts, &after).await.map(|()| Done::All)
    }

    /// Marks missing messages of the range in a transaction of its own, fenced like every other.
    async fn mark(
        &self,
        connection: &mut PgConnection,
        coverage: Coverage<'_>,
        batch: Option<&SealedBatch>,
        as_of: Option<DateTime<Utc>>,
    ) -> Result<Done, StoreError> {
        let gap = Gap { channel_id: self.channel_id, coverage, batch, as_of };
        let mut tx = connection.begin().await?;
        match missing::mark(&mut tx, &gap).await {
            Ok(all) => {
                self.checkpoints.commit(tx, &self.fence, RowCounts::default(), &LowWaterMark::clone).await?;
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
