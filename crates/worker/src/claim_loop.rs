//! The claim loop: claims a run for each free slot while the token, the disk and the database allow it.

use std::sync::Arc;
use std::time::Duration;

use dce_core::notifications::{Listener, Notification};
use dce_core::queue;
use dce_core::store::transitions::{Claim, ClaimedRun, claim};
use dce_core::store::{StoreError, in_time};
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::WorkerContext;
use crate::disk_space::DiskSpace;
use crate::run::run;
use crate::token_breaker::BreakerState;

/// Pause before the next attempt to fetch a task if no notification arrives, and to listen again.
const POLL: Duration = Duration::from_secs(1);
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// Claims one run at a time, and only for a free slot: a claimed run starts at once.
pub(crate) async fn claim_runs(
    context: Arc<WorkerContext>,
    wake: Arc<Notify>,
    runs: TaskTracker,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(context.settings.slots as usize));
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = shutdown.cancelled() => return,
        };
        let Ok(slot) = slot else { return };
        match claim_next(&context).await {
            Ok(Some((claimed, breaker))) => {
                let context = Arc::clone(&context);
                runs.spawn(async move {
                    run(&context, claimed, breaker).await;
                    drop(slot);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                if !context.database.record_failure(&error) {
                    tracing::warn!(error = %error, "claim.failed");
                }
                sleep(FAILURE_PAUSE).await;
            }
        }
        drop(slot);
        tokio::select! {
            () = wait_for_work(&context, &wake) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Wakes the claim loop at every new task and the heartbeat at every cancel. After a lost connection it wakes both,
/// because they may have missed notifications.
pub(crate) async fn listen(context: Arc<WorkerContext>, wake: Arc<Notify>) {
    loop {
        match Listener::for_workers(&context.settings.database, &context.worker.id).await {
            Ok(mut notifications) => {
                wake.notify_one();
                context.leases.heartbeat_now();
                loop {
                    match notifications.recv().await {
                        Ok(Notification::NewTask) => wake.notify_one(),
                        Ok(Notification::CancelRequested(_)) => context.leases.heartbeat_now(),
                        Ok(Notification::ExportChanged(_)) => {} // of no interest to a worker
                        Err(error) => {
                            tracing::debug!(error = %error, "listen.failed");
                            break;
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(error = %error, "listen.failed"),
        }
        sleep(POLL).await;
    }
}

async fn wait_for_work(context: &WorkerContext, wake: &Notify) {
    tokio::select! {
        () = wake.notified() => {}
        () = sleep(POLL) => {}
    }
    context.database.writable().await;
}

/// Claims a run if one is due and a run may start.
async fn claim_next(context: &Arc<WorkerContext>) -> Result<Option<(ClaimedRun, BreakerState)>, StoreError> {
    if !has_disk_space(context).await || !context.discord.is_open() {
        return Ok(None);
    }
    let was_rejected = context.breaker.is_rejected();
    let breaker = in_time(context.breaker.state(&context.control)).await?;
    if context.breaker.is_rejected() != was_rejected {
        context.leases.heartbeat_now(); // registers the worker's new problem
    }
    if matches!(breaker, BreakerState::Open) {
        return Ok(None);
    }
    let claimed = fetch_and_claim(context).await;
    if let (BreakerState::HalfOpen(permit), Ok(None) | Err(_)) = (breaker, &claimed) {
        in_time(context.breaker.release_permit(&context.control, permit)).await?;
    }
    Ok(claimed?.map(|run| (run, breaker)))
}

async fn has_disk_space(context: &Arc<WorkerContext>) -> bool {
    let before = context.disk.last_known();
    let monitor = Arc::clone(&context.disk);
    // It fails only if the check panicked.
    let space = tokio::task::spawn_blocking(move || monitor.check()).await.unwrap_or(before);
    if (space == DiskSpace::Enough) != (before == DiskSpace::Enough) {
        context.leases.heartbeat_now();
    }
    space == DiskSpace::Enough
}

/// Fetches tasks until one leads to a run or there is none.
async fn fetch_and_claim(context: &WorkerContext) -> Result<Option<ClaimedRun>, StoreError> {
    let fetch = async || Ok(queue::fetch(&context.control, &context.worker.id).await?);
    while let Some(task) = in_time(fetch()).await? {
        if let Claim::Won(run) = claim(&context.control, &task, &context.worker.id).await? {
            return Ok(Some(*run));
        }
    }
    Ok(None)
}
