//! Writes an attempt's checkpoints: cursor, counters and the channel's description.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dce_core::store::StoreError;
use dce_core::store::batches::channel::{self, Channel, DescriptionAge};
use dce_core::store::transitions::{Checkpoint, ClaimedRun, Fence, checkpoint};
use sqlx::postgres::PgTransaction;
use tokio::sync::Notify;

use super::insert::RowCounts;
use super::low_water_mark::LowWaterMark;

/// Longest time that a checkpoint of a batch without new rows is deferred.
const DEFER_LIMIT: Duration = Duration::from_millis(250);

/// Shared by the parallel writers of one attempt.
#[derive(Debug)]
pub struct CheckpointWriter {
    /// Locked from a checkpoint to the answer to its COMMIT, so that each checkpoint contains all earlier ones.
    position: tokio::sync::Mutex<Position>,
    next_batch: AtomicU64,
    messages: AtomicI64,
    channel: Mutex<Description>,
    as_of: DescriptionAge,
    channel_described: Arc<Notify>,
}

/// The low-water mark, and whether the database has it.
#[derive(Debug)]
struct Position {
    mark: LowWaterMark,
    written_at: Option<Instant>,
    is_deferred: bool,
}

#[derive(Debug, Default)]
struct Description {
    channel: Option<Arc<Channel>>,
    written: bool,
}

impl CheckpointWriter {
    /// Continues where an earlier attempt ended. `as_of`: how current the documents' description of the channel is.
    pub(super) fn new(run: &ClaimedRun, as_of: DescriptionAge) -> Self {
        let position = Position { mark: LowWaterMark::new(run), written_at: None, is_deferred: false };
        Self {
            position: tokio::sync::Mutex::new(position),
            next_batch: AtomicU64::new(0),
            messages: AtomicI64::new(run.message_count),
            channel: Mutex::default(),
            as_of,
            channel_described: Arc::default(),
        }
    }

    /// Sets the channel's description, which is written with the next batch.
    pub(super) fn describe(&self, channel: Channel) {
        lock(&self.channel).channel = Some(Arc::new(channel));
        self.channel_described.notify_one();
    }

    /// Whether DCE has described the channel.
    pub fn is_described(&self) -> bool {
        lock(&self.channel).channel.is_some()
    }

    /// Returns once DCE has described the channel, which takes an answer from Discord.
    pub fn described(&self) -> impl Future<Output = ()> + Send + use<> {
        let described = Arc::clone(&self.channel_described);
        async move { described.notified().await }
    }

    /// Batches with a lower number are committed.
    // Without the lock, because a writer of the same task may hold it.
    pub(super) fn next_batch(&self) -> u64 {
        self.next_batch.load(Ordering::Relaxed)
    }

    /// Messages of the run below its cursor, over all attempts.
    // Without the lock, as above.
    pub fn messages(&self) -> i64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(super) async fn low_water_mark(&self) -> LowWaterMark {
        self.position.lock().await.mark.clone()
    }

    /// The run's position once everything is read: batches out of order count, too.
    pub(in crate::ingest) async fn completed(&self) -> Checkpoint {
        self.position.lock().await.mark.completed().checkpoint().clone()
    }

    /// Whether the database lacks anything. `complete`: batches out of order count, too.
    pub(super) async fn has_unwritten(&self, complete: bool) -> bool {
        let position = self.position.lock().await;
        let described = lock(&self.channel);
        position.is_deferred
            || (complete && !position.mark.has_all())
            || (described.channel.is_some() && !described.written)
    }

    /// Leaves the checkpoint to a later batch, if the latest one was written recently. Returns whether it did.
    pub(super) async fn defer(&self, after: &impl Fn(&LowWaterMark) -> LowWaterMark) -> bool {
        let mut position = self.position.lock().await;
        let is_due = position.written_at.is_none_or(|written_at| written_at.elapsed() > DEFER_LIMIT);
        if is_due || !lock(&self.channel).written {
            return false;
        }
        position.mark = after(&position.mark);
        position.is_deferred = true;
        true
    }

    /// Ends a transaction: channel, checkpoint, COMMIT. Parallel writers do this one after the other.
    pub(super) async fn commit(
        &self,
        mut tx: PgTransaction<'_>,
        fence: &Fence,
        counts: RowCounts,
        after: &impl Fn(&LowWaterMark) -> LowWaterMark,
    ) -> Result<(), StoreError> {
        let RowCounts { inserted, updated } = counts;
        let mut position = self.position.lock().await;
        let next = after(&position.mark);
        let channel = {
            let described = lock(&self.channel);
            described.channel.clone().filter(|_| inserted > 0 || !described.written)
        };
        let written = async {
            if let Some(channel) = &channel {
                channel::upsert(&mut tx, channel, self.as_of, inserted).await?;
            }
            let at = Checkpoint { inserted, updated, ..next.checkpoint().clone() };
            checkpoint(&mut tx, fence, &at).await
        };
        if let Err(error) = written.await {
            tx.rollback().await?;
            return Err(error);
        }
        tx.commit().await?;
        self.next_batch.store(next.next_batch(), Ordering::Relaxed);
        self.messages.store(next.checkpoint().message_count, Ordering::Relaxed);
        *position = Position { mark: next, written_at: Some(Instant::now()), is_deferred: false };
        if channel.is_some() {
            lock(&self.channel).written = true;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
