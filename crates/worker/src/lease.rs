//! The runs that this worker owns, and what the database says of them every few seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dce_core::store::runs::{Beat, Fence, HEARTBEAT, heartbeat};
use dce_core::store::workers::{self, Worker};
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use uuid::Uuid;

/// Asked again so soon when a run was in other hands at the heartbeat.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// What the owner of a run has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Go on.
    Continue,
    /// Stop DCE, keep what it read, hand the run back: a cancel or a shutdown. SQL decides which.
    HandBack,
    /// Kill DCE and write nothing: the run has another owner.
    Abandon,
}

/// The runs that this worker owns.
#[derive(Debug)]
pub struct Leases {
    held: Mutex<HashMap<Uuid, Held>>,
    healthy: Mutex<Health>,
}

#[derive(Debug)]
struct Held {
    attempt: i32,
    order: watch::Sender<Order>,
}

#[derive(Debug)]
struct Health {
    failed_at: Option<Instant>,
    draining: bool,
    handing_back: bool,
}

/// One owned run; dropped when its attempt has ended.
#[derive(Debug)]
pub struct Lease<'a> {
    leases: &'a Leases,
    run_id: Uuid,
    order: watch::Receiver<Order>,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            healthy: Mutex::new(Health { failed_at: None, draining: false, handing_back: false }),
        }
    }
}

impl Leases {
    /// Takes a claimed run into the heartbeat.
    pub fn hold(&self, fence: &Fence) -> Lease<'_> {
        // The health stays locked, so that a run claimed just before a shutdown does not miss its order.
        let health = self.health();
        let order = if health.handing_back { Order::HandBack } else { Order::Continue };
        let (sender, receiver) = watch::channel(order);
        self.held().insert(fence.run_id, Held { attempt: fence.attempt, order: sender });
        Lease { leases: self, run_id: fence.run_id, order: receiver }
    }

    /// From now on the worker announces itself as draining.
    pub fn drain(&self) {
        self.health().draining = true;
    }

    /// Tells every run to hand back, also one that is held from now on.
    pub fn hand_back_all(&self) {
        let mut health = self.health();
        health.handing_back = true;
        for held in self.held().values() {
            give(&held.order, Order::HandBack);
        }
    }

    /// When a heartbeat last failed; `None`: never. After an outage everybody's leases look expired, so nobody rescues
    /// for one lease.
    pub fn last_failure(&self) -> Option<Instant> {
        self.health().failed_at
    }

    /// Beats until the task is aborted: announces the worker, renews the leases, passes on what the database says.
    pub async fn beat(&self, pool: &PgPool, worker: &Worker) {
        loop {
            let pause = match self.beat_once(pool, worker).await {
                Ok(true) => BUSY_PAUSE,
                Ok(false) => HEARTBEAT,
                Err(error) => {
                    self.health().failed_at = Some(Instant::now());
                    tracing::warn!(error = %error, "heartbeat.failed");
                    BUSY_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// `true`: some run was in other hands.
    async fn beat_once(&self, pool: &PgPool, worker: &Worker) -> Result<bool, dce_core::store::StoreError> {
        let draining = self.health().draining;
        workers::register(pool, worker, draining).await?;
        let runs: Vec<(Uuid, i32)> = self.held().iter().map(|(id, held)| (*id, held.attempt)).collect();
        if runs.is_empty() {
            return Ok(false);
        }
        let beats = heartbeat(pool, &worker.id, &runs).await?;
        let held = self.held();
        for (run_id, attempt) in runs {
            // A run may have ended meanwhile, which looks like a loss.
            let Some(held) = held.get(&run_id).filter(|held| held.attempt == attempt) else { continue };
            match beats.get(&run_id) {
                Some(Beat::CancelRequested) => give(&held.order, Order::HandBack),
                Some(Beat::Lost) => give(&held.order, Order::Abandon),
                _ => {}
            }
        }
        Ok(beats.values().any(|beat| *beat == Beat::Busy))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.healthy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Orders only grow: nothing takes back a loss.
fn give(order: &watch::Sender<Order>, new: Order) {
    order.send_if_modified(|old| {
        let grows = *old < new;
        *old = new.max(*old);
        grows
    });
}

impl Lease<'_> {
    /// Returns as soon as the order is another than to go on. May be cancelled and called again.
    pub async fn ordered(&mut self) -> Order {
        match self.order.wait_for(|order| *order != Order::Continue).await {
            Ok(order) => *order,
            // The sender lives as long as this lease.
            Err(_) => Order::Abandon,
        }
    }

    /// The order as it is.
    pub fn order(&self) -> Order {
        *self.order.borrow()
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.leases.held().remove(&self.run_id);
    }
}
