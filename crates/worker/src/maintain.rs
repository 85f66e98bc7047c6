//! Once a second every worker puts right what dead ones left: rescues expired leases, renews lost tasks, admits; once a
//! minute it throws away what nobody needs any more. Every step is idempotent and several workers may take it at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dce_core::queue;
use dce_core::store::reconcile::{Expired, expired, has_just_started, reconcile, rescue, terminate_backends};
use dce_core::store::{StoreError, in_time, workers};
use sqlx::postgres::PgPool;

use crate::shared::Shared;
use crate::work_dir::{self, attempt_name};

/// Pause between two ticks.
const TICK: Duration = Duration::from_secs(1);
/// Pause between two clean-ups.
const CLEAN_UP: Duration = Duration::from_mins(1);
/// Finished tasks and workers that went are kept for so long, for whoever looks after the fact.
const KEPT: Duration = Duration::from_hours(24);
/// Tasks deleted at once.
const PRUNE_BATCH: u32 = 5000;

/// Ticks until the task is aborted.
pub async fn maintain(shared: &Arc<Shared>) {
    let mut failing = false;
    let mut cleaned_at: Option<Instant> = None;
    loop {
        shared.outages.writable().await;
        match tick(shared).await {
            Ok(()) => failing = false,
            Err(error) => {
                let known = shared.outages.failed(&error);
                // Said once, not every second.
                if !std::mem::replace(&mut failing, true) && !known {
                    tracing::warn!(error = %error, "reconciler.failed");
                }
            }
        }
        if !failing && cleaned_at.is_none_or(|at| at.elapsed() >= CLEAN_UP) {
            cleaned_at = Some(Instant::now());
            prune(shared).await;
            sweep(shared).await;
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn tick(shared: &Shared) -> Result<(), StoreError> {
    let pool = &shared.control;
    if shared.outages.may_rescue() {
        rescue_expired(pool).await?;
    }
    let done = in_time(reconcile(pool, shared.settings.limit)).await?;
    if done.renewed > 0 {
        tracing::warn!(tasks = done.renewed, "tasks.renewed");
    }
    if done.admitted > 0 {
        tracing::debug!(runs = done.admitted, "runs.admitted");
    }
    Ok(())
}

async fn rescue_expired(pool: &PgPool) -> Result<(), StoreError> {
    let expired = in_time(expired(pool)).await?;
    // After a restart of the server every lease looks expired although its owner lives and is about to renew it.
    if expired.is_empty() || in_time(has_just_started(pool)).await? {
        return Ok(());
    }
    for expired in expired {
        // One that cannot be rescued now must not hold up the others.
        if let Err(error) = in_time(rescue_one(pool, &expired)).await {
            tracing::warn!(run_id = %expired.run_id, attempt = expired.attempt, error = %error, "rescue.failed");
        }
    }
    Ok(())
}

async fn rescue_one(pool: &PgPool, expired: &Expired) -> Result<(), StoreError> {
    let sessions = terminate_backends(pool, expired).await?;
    if let Some(status) = rescue(pool, expired).await? {
        tracing::warn!(run_id = %expired.run_id, attempt = expired.attempt, sessions, %status, "run.rescued");
    }
    Ok(())
}

async fn prune(shared: &Shared) {
    let pruned = async {
        let tasks = queue::prune(&shared.control, KEPT, PRUNE_BATCH).await?;
        let workers = workers::prune(&shared.control, KEPT).await?;
        Ok::<_, StoreError>((tasks, workers))
    };
    match in_time(pruned).await {
        Ok((0, 0)) => {}
        Ok((tasks, workers)) => tracing::debug!(tasks, workers, "queue.pruned"),
        Err(error) if shared.outages.failed(&error) => {}
        Err(error) => tracing::warn!(error = %error, "prune.failed"),
    }
}

/// Removes what attempts left on the disk: of workers that died, and of this one's that did not end in order.
async fn sweep(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    let swept = tokio::task::spawn_blocking(move || {
        let mut swept = work_dir::sweep(&shared.settings.work_dir);
        let own = shared.work_dir.sweep_own(|name| {
            shared.leases.attempts().iter().any(|(run_id, attempt)| attempt_name(*run_id, *attempt) == name)
        });
        swept.removed.extend(own.removed);
        swept.failed.extend(own.failed);
        swept
    });
    // It fails only if the sweep panicked, which has been said.
    let Ok(swept) = swept.await else { return };
    if !swept.removed.is_empty() {
        tracing::info!(folders = swept.removed.len(), "leftovers.removed");
    }
    for (path, error) in swept.failed {
        tracing::warn!(path = %path.display(), error = %error, "leftovers.kept");
    }
}
