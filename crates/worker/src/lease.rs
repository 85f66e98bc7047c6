//! The leases of the runs that this worker owns, and the heartbeat that renews them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dce_core::export::failure::FailureKind;
use dce_core::store::transitions::{Fence, HEARTBEAT_INTERVAL, LeaseState, heartbeat};
use dce_core::store::workers::{self, Readiness, Worker};
use dce_core::store::{StoreError, in_time};
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::database_health::{DatabaseHealth, READ_ONLY_PAUSE};

/// Pause before the next heartbeat if another transaction held the lock on a run, or the heartbeat failed.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// Time allowed for the last writes after [`Instruction::HandBackNow`].
pub(crate) const LAST_WRITES: Duration = Duration::from_secs(2);

/// What the attempt that holds a lease must do, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instruction {
    Continue,
    /// Stop DCE, store what it wrote, hand the run back: a cancel or a shutdown. SQL decides which.
    HandBack,
    /// Kill DCE, store what can be stored at once, hand the run back.
    HandBackNow,
    /// Kill DCE and write nothing: another worker owns the run.
    Abandon,
}

/// The leases that this worker holds.
#[derive(Debug, Default)]
pub struct Leases {
    held: Mutex<HashMap<Uuid, HeldLease>>,
    shutdown: Mutex<ShutdownState>,
    heartbeat_now: Notify,
}

#[derive(Debug)]
struct HeldLease {
    attempt: i32,
    instruction: watch::Sender<Instruction>,
}

/// The progress of the worker's own shutdown.
#[derive(Debug, Default)]
struct ShutdownState {
    draining: bool,
    /// The instruction to every run, including runs held from now on.
    instruction: Option<Instruction>,
}

/// The lease of one run; dropped when its attempt has ended.
#[derive(Debug)]
pub struct Lease<'a> {
    leases: &'a Leases,
    run_id: Uuid,
    attempt: i32,
    instruction: watch::Receiver<Instruction>,
}

impl Leases {
    /// Includes a claimed run in the heartbeat.
    pub fn hold(&self, fence: &Fence) -> Lease<'_> {
        // Locked until the run is held, so that a run claimed just before a shutdown does not miss the instruction.
        let shutdown = self.shutdown();
        let (sender, receiver) = watch::channel(shutdown.instruction.unwrap_or(Instruction::Continue));
        self.held().insert(fence.run_id, HeldLease { attempt: fence.attempt, instruction: sender });
        Lease { leases: self, run_id: fence.run_id, attempt: fence.attempt, instruction: receiver }
    }

    /// The held attempts, each with its run's id.
    pub fn attempts(&self) -> Vec<(Uuid, i32)> {
        self.held().iter().map(|(run_id, held)| (*run_id, held.attempt)).collect()
    }

    /// Makes the worker register as draining from now on.
    pub fn drain(&self) {
        self.shutdown().draining = true;
        self.heartbeat_now();
    }

    /// Gives every run this instruction, including runs held from now on.
    pub fn instruct_all(&self, instruction: Instruction) {
        let mut shutdown = self.shutdown();
        shutdown.instruction = shutdown.instruction.max(Some(instruction));
        for held in self.held().values() {
            raise(&held.instruction, instruction);
        }
    }

    /// Makes the next heartbeat due at once: something may have changed.
    pub fn heartbeat_now(&self) {
        self.heartbeat_now.notify_one();
    }

    /// Registers the worker, renews the leases and passes on cancels and losses, until the task is aborted. `problem`
    /// returns the reason why the worker starts no runs.
    pub async fn run_heartbeat(
        &self,
        pool: &PgPool,
        worker: &Worker,
        database: &DatabaseHealth,
        problem: impl Fn() -> Option<FailureKind>,
    ) {
        loop {
            let readiness = Readiness { draining: self.shutdown().draining, problem: problem() };
            let pause = match in_time(self.heartbeat(pool, worker, readiness)).await {
                Ok(busy) => {
                    database.record_heartbeat();
                    if busy { BUSY_PAUSE } else { HEARTBEAT_INTERVAL }
                }
                Err(error) => {
                    database.record_failed_heartbeat();
                    if !database.record_failure(&error) {
                        tracing::warn!(error = %error, "heartbeat.failed");
                    }
                    if database.is_read_only() { READ_ONLY_PAUSE } else { BUSY_PAUSE }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.heartbeat_now.notified() => {}
            }
        }
    }

    /// Returns `true` if the row of some run was locked.
    async fn heartbeat(
        &self,
        pool: &PgPool,
        worker: &Worker,
        readiness: Readiness,
    ) -> Result<bool, StoreError> {
        workers::register(pool, worker, readiness).await?;
        self.renew(pool, &worker.id).await
    }

    /// Renews the leases once and passes on cancels and losses. Returns `true` if the row of some run was locked.
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
                Some(LeaseState::CancelRequested) => raise(&held.instruction, Instruction::HandBack),
                Some(LeaseState::Lost) => raise(&held.instruction, Instruction::Abandon),
                _ => {}
            }
        }
        Ok(beats.values().any(|beat| *beat == LeaseState::Busy))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, HeldLease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shutdown(&self) -> MutexGuard<'_, ShutdownState> {
        self.shutdown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Instructions only become stronger: nothing revokes a loss.
fn raise(current: &watch::Sender<Instruction>, new: Instruction) {
    current.send_if_modified(|old| {
        let is_stronger = *old < new;
        *old = new.max(*old);
        is_stronger
    });
}

impl Lease<'_> {
    /// Returns the next instruction stronger than `known`. Cancel-safe.
    pub async fn instruction_beyond(&mut self, known: Instruction) -> Instruction {
        match self.instruction.wait_for(|instruction| *instruction > known).await {
            Ok(instruction) => *instruction,
            // The sender lives as long as this lease.
            Err(_) => Instruction::Abandon,
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // A worker may claim a run again while it still cleans up after the attempt that lost the lease.
        let mut held = self.leases.held();
        if held.get(&self.run_id).is_some_and(|held| held.attempt == self.attempt) {
            held.remove(&self.run_id);
        }
    }
}
