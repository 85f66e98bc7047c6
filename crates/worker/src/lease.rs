//! The runs that this worker owns, and what the database says of them every few seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dce_core::export::failure::FailureKind;
use dce_core::store::runs::{Beat, Fence, HEARTBEAT, heartbeat};
use dce_core::store::workers::{self, Readiness, Worker};
use dce_core::store::{StoreError, in_time};
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::outage::{Outages, READ_ONLY_PAUSE};

/// Asked again so soon when a run was in other hands at the heartbeat.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// How long the last writes may take after [`Order::HandBackNow`].
pub(crate) const LAST_WRITES: Duration = Duration::from_secs(2);

/// What the owner of a run has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Go on.
    Continue,
    /// Stop DCE, keep what it read, hand the run back: a cancel or a shutdown. SQL decides which.
    HandBack,
    /// The same, but kill DCE and keep what can be kept at once.
    HandBackNow,
    /// Kill DCE and write nothing: the run has another owner.
    Abandon,
}

/// The runs that this worker owns.
#[derive(Debug, Default)]
pub struct Leases {
    held: Mutex<HashMap<Uuid, Held>>,
    ending: Mutex<Ending>,
    beat_now: Notify,
}

#[derive(Debug)]
struct Held {
    attempt: i32,
    order: watch::Sender<Order>,
}

/// How far the worker's own end has come.
#[derive(Debug, Default)]
struct Ending {
    draining: bool,
    /// What every run is told, also one that is held from now on.
    order: Option<Order>,
}

/// One owned run; dropped when its attempt has ended.
#[derive(Debug)]
pub struct Lease<'a> {
    leases: &'a Leases,
    run_id: Uuid,
    attempt: i32,
    order: watch::Receiver<Order>,
}

impl Leases {
    /// Takes a claimed run into the heartbeat.
    pub fn hold(&self, fence: &Fence) -> Lease<'_> {
        // Locked until the run is held, so that one claimed just before a shutdown does not miss its order.
        let ending = self.ending();
        let (sender, receiver) = watch::channel(ending.order.unwrap_or(Order::Continue));
        self.held().insert(fence.run_id, Held { attempt: fence.attempt, order: sender });
        Lease { leases: self, run_id: fence.run_id, attempt: fence.attempt, order: receiver }
    }

    /// The attempts that are owned, by run.
    pub fn attempts(&self) -> Vec<(Uuid, i32)> {
        self.held().iter().map(|(run_id, held)| (*run_id, held.attempt)).collect()
    }

    /// From now on the worker announces itself as draining.
    pub fn drain(&self) {
        self.ending().draining = true;
        self.beat_now();
    }

    /// Tells every run to hand back, also one that is held from now on.
    pub fn hand_back_all(&self, order: Order) {
        let mut ending = self.ending();
        ending.order = ending.order.max(Some(order));
        for held in self.held().values() {
            give(&held.order, order);
        }
    }

    /// Asks the database at once instead of at the next heartbeat: something may have changed.
    pub fn beat_now(&self) {
        self.beat_now.notify_one();
    }

    /// Beats until the task is aborted: announces the worker, renews the leases, passes on what the database says.
    /// `problem`: what keeps the worker from starting runs.
    pub async fn beat(
        &self,
        pool: &PgPool,
        worker: &Worker,
        outages: &Outages,
        problem: impl Fn() -> Option<FailureKind>,
    ) {
        loop {
            let readiness = Readiness { draining: self.ending().draining, problem: problem() };
            let pause = match in_time(self.beat_once(pool, worker, readiness)).await {
                Ok(busy) => {
                    outages.answered();
                    if busy { BUSY_PAUSE } else { HEARTBEAT }
                }
                Err(error) => {
                    outages.heartbeat_failed();
                    if !outages.failed(&error) {
                        tracing::warn!(error = %error, "heartbeat.failed");
                    }
                    if outages.is_read_only() { READ_ONLY_PAUSE } else { BUSY_PAUSE }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.beat_now.notified() => {}
            }
        }
    }

    /// `true`: some run was in other hands.
    async fn beat_once(
        &self,
        pool: &PgPool,
        worker: &Worker,
        readiness: Readiness,
    ) -> Result<bool, StoreError> {
        workers::register(pool, worker, readiness).await?;
        self.renew(pool, &worker.id).await
    }

    /// Renews the leases once and passes on what the database says. `true`: some run was in other hands.
    pub async fn renew(&self, pool: &PgPool, owner: &str) -> Result<bool, StoreError> {
        let runs = self.attempts();
        if runs.is_empty() {
            return Ok(false);
        }
        let beats = heartbeat(pool, owner, &runs).await?;
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

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Returns as soon as the order goes beyond `known`. May be cancelled and called again.
    pub async fn ordered_beyond(&mut self, known: Order) -> Order {
        match self.order.wait_for(|order| *order > known).await {
            Ok(order) => *order,
            // The sender lives as long as this lease.
            Err(_) => Order::Abandon,
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // A worker may get a run again while it still cleans up after the attempt that it lost.
        let mut held = self.leases.held();
        if held.get(&self.run_id).is_some_and(|held| held.attempt == self.attempt) {
            held.remove(&self.run_id);
        }
    }
}
