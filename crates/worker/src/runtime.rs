//! The worker's life: announce, claim into free slots, beat, and on a signal hand over what is not finished.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dce_core::db;
use dce_core::export::failure::FailureKind;
use dce_core::notices::{Notice, Notices};
use dce_core::queue;
use dce_core::store::runs::{Claim, ClaimedRun, claim};
use dce_core::store::workers::{self, Readiness, Worker};
use dce_core::store::{StoreError, in_time};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use crate::breaker::{Breaker, Permission};
use crate::config::Settings;
use crate::dce::{DceVersion, Spawner};
use crate::disk::{DiskGuard, Room};
use crate::ingest::sessions::Sessions;
use crate::lease::{Leases, Order};
use crate::maintain::maintain;
use crate::outage::{Outages, READ_ONLY_PAUSE};
use crate::run::run;
use crate::shared::Shared;
use crate::shutdown::{AT_ONCE, Shutdown};
use crate::work_dir::WorkDir;

/// New tasks are looked for at least so often; notifications are what wakes a worker.
const POLL: Duration = Duration::from_secs(1);
/// Pause after the database failed.
const PAUSE: Duration = Duration::from_millis(500);
/// The end of the shutdown grace that is kept for stopping DCE (10 s) and handing back.
const RESERVED: Duration = Duration::from_secs(12);
/// How long the last words to the database may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Works until `shutdown`; then drains within the grace. Errors only before the first claim.
pub async fn work(
    settings: Settings,
    spawner: Spawner,
    dce_version: DceVersion,
    jitter: fn() -> f64,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let worker = announce(&settings, dce_version);
    let work_dir = WorkDir::create(&settings.work_dir, &worker.id)
        .with_context(|| format!("WORK_DIR {} cannot be used", settings.work_dir.display()))?;
    let shared = Arc::new(Shared {
        control: db::connect_control(&settings.database, &worker.id, 1),
        sessions: Sessions::new(settings.database.clone(), worker.id.clone(), settings.ingest_connections),
        leases: Leases::default(),
        outages: Outages::default(),
        breaker: Breaker::new(&settings.token),
        disk: Arc::new(DiskGuard::new(settings.work_dir.clone(), settings.min_free_disk)),
        work_dir,
        settings,
        worker,
        spawner,
        dce_version,
        jitter,
    });
    let ready = tokio::select! {
        ready = get_ready(&shared) => Some(ready),
        () = shutdown.in_order.cancelled() => None,
    };
    if !matches!(ready, Some(Ok(()))) {
        remove_work_dir(&shared);
        return ready.unwrap_or(Ok(()));
    }
    let worker = &shared.worker;
    tracing::info!(worker = worker.id, slots = worker.slots, dce_version = %dce_version, "worker.started");

    let wake = Arc::new(Notify::new());
    let runs = TaskTracker::new();
    let background = [
        spawn_with(&shared, async |shared| {
            shared.leases.beat(&shared.control, &shared.worker, &shared.outages, || problem(&shared)).await;
        }),
        spawn_with(&shared, async |shared| maintain(&shared).await),
        tokio::spawn(listen(Arc::clone(&shared), Arc::clone(&wake))),
    ];
    let claiming =
        tokio::spawn(claim_until(Arc::clone(&shared), wake, runs.clone(), shutdown.in_order.clone()));
    shutdown.in_order.cancelled().await;
    let drained = drain(&shared, claiming, &runs, &shutdown.at_once).await;
    for task in background {
        task.abort();
    }
    match timeout(FAREWELL, workers::deregister(&shared.control, &shared.worker.id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "worker.not_deregistered"),
        Err(_) => tracing::warn!("worker.not_deregistered: no answer"),
    }
    if drained {
        remove_work_dir(&shared);
    } // else attempts still read there: the next sweep of any worker removes it when this process is gone
    tracing::info!("worker.stopped");
    Ok(())
}

/// No attempt of this worker's goes on any more.
fn remove_work_dir(shared: &Shared) {
    if let Err(error) = shared.work_dir.remove() {
        tracing::warn!(error = %error, "worker.leftovers");
    }
}

/// The database there, up to date, and told of the worker.
async fn get_ready(shared: &Shared) -> anyhow::Result<()> {
    if db::prepare(&shared.settings.database, shared.settings.migrate).await? {
        shared.outages.heartbeat_failed();
    }
    loop {
        match in_time(workers::register(&shared.control, &shared.worker, Readiness::default())).await {
            Err(error) if error.is_read_only() => {
                shared.outages.failed(&error);
                sleep(READ_ONLY_PAUSE).await;
            }
            registered => return registered.context("the worker could not be registered"),
        }
    }
}

/// An id that is new at every start: two lives of one machine must not be taken for each other.
fn announce(settings: &Settings, dce_version: DceVersion) -> Worker {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    // application_name holds 63 bytes, of which the ULID takes 26. It is a folder's name too, in a path that DCE is given.
    let fit = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    let prefix: String = host.chars().filter(fit).take(32).collect();
    Worker {
        id: format!("{prefix}-{}", Ulid::generate()),
        host,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dce_version: dce_version.to_string(),
        slots: settings.slots,
    }
}

fn spawn_with<F>(shared: &Arc<Shared>, task: impl FnOnce(Arc<Shared>) -> F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(task(Arc::clone(shared)))
}

/// What keeps this worker from starting runs.
fn problem(shared: &Shared) -> Option<FailureKind> {
    if shared.breaker.is_rejected() {
        return Some(FailureKind::InvalidToken);
    }
    (shared.disk.room() != Room::Enough).then_some(FailureKind::DiskFull)
}

/// Wakes the claim loop at every push and the heartbeat at every cancel; after a lost connection both may have missed some.
async fn listen(shared: Arc<Shared>, wake: Arc<Notify>) {
    loop {
        match Notices::listen(&shared.settings.database, &shared.worker.id).await {
            Ok(mut notices) => {
                wake.notify_one();
                shared.leases.beat_now();
                loop {
                    match notices.heard().await {
                        Ok(Notice::NewTask) => wake.notify_one(),
                        Ok(Notice::CancelRequested(_)) => shared.leases.beat_now(),
                        Ok(Notice::ExportChanged(_)) => {} // not listened to
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

/// One task at a time, and only into a free slot: what is fetched is started at once.
async fn claim_until(shared: Arc<Shared>, wake: Arc<Notify>, runs: TaskTracker, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(shared.settings.slots as usize));
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = shutdown.cancelled() => return,
        };
        let Ok(slot) = slot else { return };
        match next(&shared).await {
            Ok(Some((claimed, permission))) => {
                let shared = Arc::clone(&shared);
                runs.spawn(async move {
                    run(&shared, claimed, permission).await;
                    drop(slot);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                if !shared.outages.failed(&error) {
                    tracing::warn!(error = %error, "claim.failed");
                }
                sleep(PAUSE).await;
            }
        }
        drop(slot);
        tokio::select! {
            () = wait_for_work(&shared, &wake) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn wait_for_work(shared: &Shared, wake: &Notify) {
    tokio::select! {
        () = wake.notified() => {}
        () = sleep(POLL) => {}
    }
    shared.outages.writable().await;
}

/// A run to start, if there is one and it may.
async fn next(shared: &Arc<Shared>) -> Result<Option<(ClaimedRun, Permission)>, StoreError> {
    if !has_room(shared).await {
        return Ok(None);
    }
    let was_rejected = shared.breaker.is_rejected();
    let permission = in_time(shared.breaker.permission(&shared.control)).await?;
    if shared.breaker.is_rejected() != was_rejected {
        shared.leases.beat_now(); // the fleet hears of it
    }
    if matches!(permission, Permission::Refused) {
        return Ok(None);
    }
    let fetched = fetch(shared).await;
    if let (Permission::Trial(trial), Ok(None) | Err(_)) = (permission, &fetched) {
        in_time(shared.breaker.return_trial(&shared.control, trial)).await?;
    }
    Ok(fetched?.map(|run| (run, permission)))
}

async fn has_room(shared: &Arc<Shared>) -> bool {
    let before = shared.disk.room();
    let guard = Arc::clone(&shared.disk);
    // It fails only if the look panicked.
    let room = tokio::task::spawn_blocking(move || guard.look()).await.unwrap_or(before);
    if (room == Room::Enough) != (before == Room::Enough) {
        shared.leases.beat_now();
    }
    room == Room::Enough
}

/// Fetches until a task leads to a run or there is none.
async fn fetch(shared: &Shared) -> Result<Option<ClaimedRun>, StoreError> {
    let fetch = async || Ok(queue::fetch(&shared.control, &shared.worker.id).await?);
    while let Some(task) = in_time(fetch()).await? {
        if let Claim::Won(run) = claim(&shared.control, &task, &shared.worker.id).await? {
            return Ok(Some(*run));
        }
    }
    Ok(None)
}

/// Lets runs that finish in time finish; hands the rest back, so that another worker goes on at once. `false`: some did
/// not end in time.
async fn drain(
    shared: &Shared,
    claiming: JoinHandle<()>,
    runs: &TaskTracker,
    at_once: &CancellationToken,
) -> bool {
    shared.leases.drain();
    tracing::info!(runs = runs.len(), "worker.draining");
    let mut ended = std::pin::pin!(async {
        let _ = claiming.await; // a panic there has been said; its runs are waited for all the same
        runs.close();
        runs.wait().await;
    });
    let reserved = RESERVED.min(shared.settings.shutdown_grace);
    let patience = shared.settings.shutdown_grace.saturating_sub(reserved);
    for (order, limit) in [(None, patience), (Some(Order::HandBack), reserved)] {
        if let Some(order) = order {
            shared.leases.hand_back_all(order);
        }
        tokio::select! {
            () = &mut ended => return true,
            () = sleep(limit) => {}
            () = at_once.cancelled() => break,
        }
    }
    if at_once.is_cancelled() {
        tracing::warn!(runs = runs.len(), "worker.hurried");
        shared.leases.hand_back_all(Order::HandBackNow);
        if timeout(AT_ONCE, ended).await.is_ok() {
            return true;
        }
    }
    tracing::error!(runs = runs.len(), "worker.grace_over: the leases will expire");
    false
}
