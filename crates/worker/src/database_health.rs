//! Whether the database answers and accepts writes, as this worker's statements find out. Each change is logged once,
//! even if several loops meet it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dce_core::export::admission::LEASE;
use dce_core::store::StoreError;
use tokio::sync::watch;

/// Pause between two attempts to write while the database is read-only: somebody has to free space first.
pub const READ_ONLY_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct DatabaseHealth {
    read_only: watch::Sender<bool>,
    availability: Mutex<Availability>,
}

#[derive(Debug, Default)]
struct Availability {
    /// The first failure since the last answer.
    lost_since: Option<Instant>,
    /// A heartbeat failed, and none has succeeded since.
    heartbeat_overdue: bool,
    /// Expired leases are not rescued before this time.
    no_rescue_before: Option<Instant>,
}

impl Default for DatabaseHealth {
    fn default() -> Self {
        Self { read_only: watch::channel(false).0, availability: Mutex::default() }
    }
}

impl DatabaseHealth {
    /// Records a failed statement. Returns `false` if the database's state is not the cause; the caller then logs the
    /// error.
    pub fn record_failure(&self, error: &StoreError) -> bool {
        if error.is_read_only() {
            if !self.read_only.send_replace(true) {
                tracing::error!(
                    error = %error,
                    consequence = "nothing can be recorded: running exports are stopped and none is started",
                    retry_s = READ_ONLY_PAUSE.as_secs(),
                    "database.read_only"
                );
            }
            return true;
        }
        if !error.is_unavailable() {
            return false;
        }
        let mut availability = self.availability();
        if availability.lost_since.is_none() {
            availability.lost_since = Some(Instant::now());
            tracing::warn!(error = %error, "database.lost");
        }
        true
    }

    /// Records a failed heartbeat, or a database that was away at the start: every worker's leases may expire.
    pub fn record_failed_heartbeat(&self) {
        self.availability().heartbeat_overdue = true;
    }

    pub fn record_heartbeat(&self) {
        let was_read_only = self.read_only.send_replace(false);
        let lost_since = {
            let mut availability = self.availability();
            if std::mem::take(&mut availability.heartbeat_overdue) {
                // Other workers notice at their own next heartbeat, which is later if they wait for writes.
                let others = if was_read_only { READ_ONLY_PAUSE } else { Duration::ZERO };
                availability.no_rescue_before = Some(Instant::now() + LEASE + others);
            }
            availability.lost_since.take()
        };
        if was_read_only {
            tracing::info!("database.writable");
        }
        if let Some(since) = lost_since {
            let away_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(away_ms, "database.back");
        }
    }

    /// Whether an expired lease proves that its owner is dead. After an outage every lease looks expired although its
    /// owner lives and is about to renew it, so no run is rescued for the time of one lease.
    pub fn may_rescue(&self) -> bool {
        let availability = self.availability();
        !availability.heartbeat_overdue
            && availability.no_rescue_before.is_none_or(|moment| Instant::now() >= moment)
    }

    pub fn is_read_only(&self) -> bool {
        *self.read_only.borrow()
    }

    pub async fn read_only(&self) {
        self.wait_until(true).await;
    }

    /// Returns when the database accepts writes, as far as is known.
    pub async fn writable(&self) {
        self.wait_until(false).await;
    }

    async fn wait_until(&self, read_only: bool) {
        // It fails only without a sender, which `self` holds.
        let _ = self.read_only.subscribe().wait_for(|now| *now == read_only).await;
    }

    fn availability(&self) -> MutexGuard<'_, Availability> {
        self.availability.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
