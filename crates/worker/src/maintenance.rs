//! Background maintenance by every worker. Once a second: rescue expired leases, renew lost tasks, admit runs. Once a
//! minute: delete old rows and the files of dead workers. Every step is idempotent, and several workers may perform it
//! at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dce_core::queue;
use dce_core::store::transitions::{
    ExpiredLease, expired_leases, reconcile, rescue, server_has_just_started, terminate_backends,
};
use dce_core::store::{StoreError, in_time, workers};
use sqlx::postgres::PgPool;

use crate::context::WorkerContext;
use crate::work_dir::{self, attempt_name};

const TICK: Duration = Duration::from_secs(1);
const CLEANUP_INTERVAL: Duration = Duration::from_mins(1);
/// Finished tasks and dead workers are kept for so long, for later investigation.
const RETENTION: Duration = Duration::from_hours(24);
/// Maximum number of tasks deleted at once.
const PRUNE_BATCH: u32 = 5000;

/// Repeats the maintenance until the task is aborted.
pub async fn maintain(context: &Arc<WorkerContext>) {
    let mut failing = false;
    let mut cleaned_at: Option<Instant> = None;
    loop {
        context.database.writable().await;
        match tick(context).await {
            Ok(()) => failing = false,
            Err(error) => {
                let is_outage = context.database.record_failure(&error);
                // Logged once, not every second.
                if !std::mem::replace(&mut failing, true) && !is_outage {
                    tracing::warn!(error = %error, "reconciler.failed");
                }
            }
        }
        if !failing && cleaned_at.is_none_or(|at| at.elapsed() >= CLEANUP_INTERVAL) {
            cleaned_at = Some(Instant::now());
            prune(context).await;
            sweep(context).await;
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn tick(context: &WorkerContext) -> Result<(), StoreError> {
    let pool = &context.control;
    if context.database.may_rescue() {
        rescue_expired(pool).await?;
    }
    let done = in_time(reconcile(pool, context.settings.limit)).await?;
    if done.renewed > 0 {
        tracing::warn!(tasks = done.renewed, "tasks.renewed");
    }
    if done.admitted > 0 {
        tracing::debug!(runs = done.admitted, "runs.admitted");
    }
    Ok(())
}

async fn rescue_expired(pool: &PgPool) -> Result<(), StoreError> {
    let expired = in_time(expired_leases(pool)).await?;
    // After a restart of the server every lease looks expired, although its owner lives and is about to renew it.
    if expired.is_empty() || in_time(server_has_just_started(pool)).await? {
        return Ok(());
    }
    for expired in expired {
        // A run that cannot be rescued now must not delay the others.
        if let Err(error) = in_time(rescue_one(pool, &expired)).await {
            tracing::warn!(run_id = %expired.run_id, attempt = expired.attempt, error = %error, "rescue.failed");
        }
    }
    Ok(())
}

async fn rescue_one(pool: &PgPool, expired: &ExpiredLease) -> Result<(), StoreError> {
    let sessions = terminate_backends(pool, expired).await?;
    if let Some(status) = rescue(pool, expired).await? {
        tracing::warn!(run_id = %expired.run_id, attempt = expired.attempt, sessions, %status, "run.rescued");
    }
    Ok(())
}

async fn prune(context: &WorkerContext) {
    let pruned = async {
        let tasks = queue::prune(&context.control, RETENTION, PRUNE_BATCH).await?;
        let workers = workers::prune(&context.control, RETENTION).await?;
        Ok::<_, StoreError>((tasks, workers))
    };
    match in_time(pruned).await {
        Ok((0, 0)) => {}
        Ok((tasks, workers)) => tracing::debug!(tasks, workers, "queue.pruned"),
        Err(error) if context.database.record_failure(&error) => {}
        Err(error) => tracing::warn!(error = %error, "prune.failed"),
    }
}

/// Removes the folders of dead workers, and those of this worker's attempts that did not end in order.
async fn sweep(context: &Arc<WorkerContext>) {
    let context = Arc::clone(context);
    let swept = tokio::task::spawn_blocking(move || {
        let mut swept = work_dir::sweep(&context.settings.work_dir);
        let own = context.work_dir.sweep_own(|name| {
            context.leases.attempts().iter().any(|(run_id, attempt)| attempt_name(*run_id, *attempt) == name)
        });
        swept.removed.extend(own.removed);
        swept.failed.extend(own.failed);
        swept
    });
    // It fails only if the sweep panicked, and the panic is logged already.
    let Ok(swept) = swept.await else { return };
    if !swept.removed.is_empty() {
        tracing::info!(folders = swept.removed.len(), "leftovers.removed");
    }
    for (path, error) in swept.failed {
        tracing::warn!(path = %path.display(), error = %error, "leftovers.kept");
    }
}
