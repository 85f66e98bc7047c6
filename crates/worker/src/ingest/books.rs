//! What one attempt tells the database of itself: how far the run is, and what DCE says of the channel.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dce_core::store::StoreError;
use dce_core::store::batches::channel::{self, Channel, DescriptionAge};
use dce_core::store::transitions::{Checkpoint, ClaimedRun, Fence, checkpoint};
use sqlx::postgres::PgTransaction;
use tokio::sync::Notify;

use super::ledger::Ledger;
use super::rows::Written;

/// What needs no writing is told after this time.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Kept by the lanes of one attempt in common.
#[derive(Debug)]
pub struct Books {
    /// Held from a checkpoint to the answer to its COMMIT, so that each says what all before it have committed.
    entries: tokio::sync::Mutex<Entries>,
    low_water: AtomicU64,
    messages: AtomicI64,
    channel: Mutex<Description>,
    as_of: DescriptionAge,
    heard_of_channel: Arc<Notify>,
}

/// The ledger, and how much of it the database has been told.
#[derive(Debug)]
struct Entries {
    ledger: Ledger,
    told_at: Option<Instant>,
    untold: bool,
}

#[derive(Debug, Default)]
struct Description {
    channel: Option<Arc<Channel>>,
    written: bool,
}

impl Books {
    /// As an earlier attempt left them.
    pub(super) fn of(run: &ClaimedRun) -> Self {
        let entries = Entries { ledger: Ledger::of(run), told_at: None, untold: false };
        Self {
            entries: tokio::sync::Mutex::new(entries),
            low_water: AtomicU64::new(0),
            messages: AtomicI64::new(run.message_count),
            channel: Mutex::default(),
            as_of: DescriptionAge::Current,
            heard_of_channel: Arc::default(),
        }
    }

    /// What the documents say of their channel may be long past.
    pub(super) fn of_files(self) -> Self {
        Self { as_of: DescriptionAge::Past, ..self }
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

    /// The ledger as it is now.
    pub(super) async fn ledger(&self) -> Ledger {
        self.entries.lock().await.ledger.clone()
    }

    /// Whether there is anything that the database has not been told. `complete`: what is out of order counts now.
    pub(super) async fn has_untold(&self, complete: bool) -> bool {
        let entries = self.entries.lock().await;
        let described = lock(&self.channel);
        entries.untold
            || (complete && !entries.ledger.is_in_order())
            || (described.channel.is_some() && !described.written)
    }

    /// Keeps in mind what is to be told, if something was told not long ago.
    pub(super) async fn defer(&self, after: &impl Fn(&Ledger) -> Ledger) -> bool {
        let mut entries = self.entries.lock().await;
        let is_due = entries.told_at.is_none_or(|told_at| told_at.elapsed() > TOLD_EVERY);
        if is_due || !lock(&self.channel).written {
            return false;
        }
        entries.ledger = after(&entries.ledger);
        entries.untold = true;
        true
    }

    /// The part that lanes do one after the other: channel, checkpoint, COMMIT.
    pub(super) async fn settle(
        &self,
        mut tx: PgTransaction<'_>,
        fence: &Fence,
        written: Written,
        after: &impl Fn(&Ledger) -> Ledger,
    ) -> Result<(), StoreError> {
        let Written { inserted, updated } = written;
        let mut entries = self.entries.lock().await;
        let next = after(&entries.ledger);
        let told = {
            let described = lock(&self.channel);
            described.channel.clone().filter(|_| inserted > 0 || !described.written)
        };
        let written = async {
            if let Some(channel) = &told {
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
        self.low_water.store(next.low_water(), Ordering::Relaxed);
        self.messages.store(next.checkpoint().message_count, Ordering::Relaxed);
        *entries = Entries { ledger: next, told_at: Some(Instant::now()), untold: false };
        if told.is_some() {
            lock(&self.channel).written = true;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
