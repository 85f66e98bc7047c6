//! The worker's life: announce, claim into free slots, beat, and on a signal hand over what is not finished.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dce_core::queue::{self, NewTasks};
use dce_core::store::StoreError;
use dce_core::store::runs::{Claim, ClaimedRun, claim};
use dce_core::store::workers::{self, Worker};
use dce_core::{db, queue::Task};
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use crate::config::Settings;
use crate::dce::{DceVersion, Spawner};
use crate::ingest::sessions::Sessions;
use crate::lease::Leases;
use crate::maintain::maintain;
use crate::run::run;
use crate::shared::Shared;

/// New tasks are looked for at least so often; notifications are what wakes a worker.
const POLL: Duration = Duration::from_secs(1);
/// Pause after the database failed.
const PAUSE: Duration = Duration::from_millis(500);
/// The end of the shutdown grace that is kept for stopping DCE (10 s) and handing back.
const RESERVED: Duration = Duration::from_secs(12);

/// Works until `shutdown`; then drains within the grace. Errors only before the first claim.
pub async fn work(
    settings: Settings,
    spawner: Spawner,
    dce_version: DceVersion,
    jitter: fn() -> f64,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        prepared = db::prepare(&settings.database, settings.migrate) => prepared?,
        () = shutdown.cancelled() => return Ok(()),
    }
    let worker = announce(&settings, dce_version);
    let shared = Arc::new(Shared {
        control: db::connect_control(&settings.database, &worker.id, 1),
        sessions: Sessions::new(settings.database.clone(), worker.id.clone(), settings.ingest_connections),
        leases: Leases::default(),
        settings,
        worker,
        spawner,
        dce_version,
        jitter,
    });
    workers::register(&shared.control, &shared.worker, false)
        .await
        .context("the worker could not be registered")?;
    tracing::info!(worker = shared.worker.id, slots = shared.worker.slots, dce_version = %dce_version, "worker.started");

    let wake = Arc::new(Notify::new());
    let background = [
        spawn_with(&shared, async |shared| shared.leases.beat(&shared.control, &shared.worker).await),
        spawn_with(&shared, async |shared| {
            maintain(&shared.control, &shared.leases, shared.settings.limit).await;
        }),
        tokio::spawn(listen(
            db::connect_listen(&shared.settings.database, &shared.worker.id),
            Arc::clone(&wake),
        )),
    ];
    let runs = TaskTracker::new();
    claim_until(&shared, &wake, &runs, &shutdown).await;
    drain(&shared, &runs).await;
    for task in background {
        task.abort();
    }
    if let Err(error) = workers::deregister(&shared.control, &shared.worker.id).await {
        tracing::warn!(error = %error, "worker.not_deregistered");
    }
    // Only this worker's own folder; whatever is left in it belongs to runs that are somebody else's now.
    let _ = std::fs::remove_dir_all(shared.settings.work_dir.join(&shared.worker.id));
    tracing::info!("worker.stopped");
    Ok(())
}

/// An id that is new at every start: two lives of one machine must not be taken for each other.
fn announce(settings: &Settings, dce_version: DceVersion) -> Worker {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    // application_name holds 63 bytes, of which the ULID takes 26.
    let prefix: String = host.chars().filter(char::is_ascii_graphic).take(32).collect();
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

/// Wakes the claim loop at every push; after a lost connection it may have missed some.
async fn listen(pool: PgPool, wake: Arc<Notify>) {
    loop {
        match NewTasks::listen(&pool).await {
            Ok(mut tasks) => {
                wake.notify_one();
                while tasks.heard().await.is_ok() {
                    wake.notify_one();
                }
            }
            Err(error) => tracing::debug!(error = %error, "listen.failed"),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// One task at a time, and only into a free slot: what is fetched is started at once.
async fn claim_until(shared: &Arc<Shared>, wake: &Notify, runs: &TaskTracker, shutdown: &CancellationToken) {
    let slots = Arc::new(Semaphore::new(shared.settings.slots as usize));
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = shutdown.cancelled() => return,
        };
        let Ok(slot) = slot else { return };
        match next(shared).await {
            Ok(Some(claimed)) => {
                let shared = Arc::clone(shared);
                runs.spawn(async move {
                    run(&shared, claimed).await;
                    drop(slot);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %error, "claim.failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
        drop(slot);
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Fetches until a task leads to a run or there is none.
async fn next(shared: &Shared) -> Result<Option<ClaimedRun>, StoreError> {
    while let Some(task) = fetch(shared).await? {
        if let Claim::Won(run) = claim(&shared.control, &task, &shared.worker.id).await? {
            return Ok(Some(*run));
        }
    }
    Ok(None)
}

async fn fetch(shared: &Shared) -> Result<Option<Task>, StoreError> {
    Ok(queue::fetch(&shared.control, &shared.worker.id).await?)
}

/// Lets runs that finish in time finish; hands the rest back, so that another worker goes on at once.
async fn drain(shared: &Shared, runs: &TaskTracker) {
    runs.close();
    shared.leases.drain();
    tracing::info!(runs = runs.len(), "worker.draining");
    let reserved = RESERVED.min(shared.settings.shutdown_grace);
    let patience = shared.settings.shutdown_grace.saturating_sub(reserved);
    if tokio::time::timeout(patience, runs.wait()).await.is_err() {
        shared.leases.hand_back_all();
        if tokio::time::timeout(reserved, runs.wait()).await.is_err() {
            tracing::error!(runs = runs.len(), "worker.grace_over: the leases will expire");
        }
    }
}
