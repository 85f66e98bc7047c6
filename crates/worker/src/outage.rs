//! Whether the database is there and takes writes, as the statements of this worker find out. Said once when it changes,
//! however many loops meet it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dce_core::export::admission::LEASE;
use dce_core::store::StoreError;
use tokio::sync::watch;

/// Pause between two tries to write while the database is read-only: somebody has to make room first.
pub const READ_ONLY_PAUSE: Duration = Duration::from_secs(30);

/// What is known of the database.
#[derive(Debug)]
pub struct Outages {
    read_only: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Since when it has not answered, as far as is known.
    away_since: Option<Instant>,
    /// A heartbeat failed, and none has been written since.
    silent: bool,
    /// Nobody is rescued before.
    no_rescue_before: Option<Instant>,
}

impl Default for Outages {
    fn default() -> Self {
        Self { read_only: watch::channel(false).0, seen: Mutex::default() }
    }
}

impl Outages {
    /// A statement failed. `false`: not because of the database's state, so that the caller has to say what happened.
    pub fn failed(&self, error: &StoreError) -> bool {
        if error.is_read_only() {
            if !self.read_only.send_replace(true) {
                tracing::error!(
                    error = %error,
                    "database.read_only: nothing can be recorded, so exports are stopped and none is started; tried again every 30 s"
                );
            }
            return true;
        }
        if !error.is_unavailable() {
            return false;
        }
        let mut seen = self.seen();
        if seen.away_since.is_none() {
            seen.away_since = Some(Instant::now());
            tracing::warn!(error = %error, "database.lost: exports wait for it");
        }
        true
    }

    /// A heartbeat failed, or the database was away at the start: everybody's leases may run out.
    pub fn heartbeat_failed(&self) {
        self.seen().silent = true;
    }

    /// A heartbeat was written.
    pub fn answered(&self) {
        let was_read_only = self.read_only.send_replace(false);
        let away_since = {
            let mut seen = self.seen();
            if std::mem::take(&mut seen.silent) {
                // The others find out at their own next heartbeat, which is later where they wait for writes.
                let others = if was_read_only { READ_ONLY_PAUSE } else { Duration::ZERO };
                seen.no_rescue_before = Some(Instant::now() + LEASE + others);
            }
            seen.away_since.take()
        };
        if was_read_only {
            tracing::info!("database.writable");
        }
        if let Some(since) = away_since {
            let away_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(away_ms, "database.back");
        }
    }

    /// Whether an expired lease means what it says. After an outage everybody's lease looks expired although its owner
    /// lives and is about to renew it, so nobody is rescued for one lease.
    pub fn may_rescue(&self) -> bool {
        let seen = self.seen();
        !seen.silent && seen.no_rescue_before.is_none_or(|moment| Instant::now() >= moment)
    }

    /// Whether the database takes no writes.
    pub fn is_read_only(&self) -> bool {
        *self.read_only.borrow()
    }

    /// Returns when the database takes no writes.
    pub async fn read_only(&self) {
        self.until(true).await;
    }

    /// Returns when the database takes writes, as far as is known.
    pub async fn writable(&self) {
        self.until(false).await;
    }

    async fn until(&self, read_only: bool) {
        // It fails only without a sender, which `self` holds.
        let _ = self.read_only.subscribe().wait_for(|now| *now == read_only).await;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
