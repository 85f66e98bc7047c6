//! The life of a worker: register, claim runs, send heartbeats, and drain on a signal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dce_core::db;
use dce_core::export::failure::FailureKind;
use dce_core::schema;
use dce_core::store::in_time;
use dce_core::store::workers::{self, Readiness, Worker};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use ulid::Ulid;

use crate::claim_loop::{claim_runs, listen};
use crate::context::WorkerContext;
use crate::database_health::{DatabaseHealth, READ_ONLY_PAUSE};
use crate::dce::{DceProgram, DceVersion, Spawner};
use crate::discord_access::DiscordAccess;
use crate::disk_space::{DiskMonitor, DiskSpace};
use crate::ingest::write::sessions::Sessions;
use crate::lease::{Instruction, Leases};
use crate::maintenance::maintain;
use crate::settings::Settings;
use crate::shutdown::{AT_ONCE, Shutdown};
use crate::token_breaker::TokenBreaker;
use crate::work_dir::WorkDir;

/// The end of the shutdown grace that is reserved for stopping DCE (10 s) and handing back.
const RESERVED: Duration = Duration::from_secs(12);
const DEREGISTER_LIMIT: Duration = Duration::from_secs(2);

/// Works until `shutdown`; then drains within the grace. Returns an error only before the first claim.
pub async fn work(
    settings: Settings,
    spawner: Spawner,
    dce: DceProgram,
    jitter: fn() -> f64,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let dce_version = dce.version;
    let worker = describe_worker(&settings, dce_version);
    let discord = DiscordAccess::new(&settings, dce.is_standin).context("Discord's API cannot be used")?;
    let work_dir = WorkDir::create(&settings.work_dir, &worker.id)
        .with_context(|| format!("WORK_DIR {} cannot be used", settings.work_dir.display()))?;
    let context = Arc::new(WorkerContext {
        control: db::connect_control(&settings.database, &worker.id, 1),
        sessions: Sessions::new(settings.database.clone(), worker.id.clone(), settings.ingest_connections),
        leases: Leases::default(),
        database: DatabaseHealth::default(),
        breaker: TokenBreaker::new(&settings.token),
        discord,
        disk: Arc::new(DiskMonitor::new(settings.work_dir.clone(), settings.min_free_disk)),
        work_dir,
        settings,
        worker,
        spawner,
        dce_version,
        jitter,
    });
    let registered = tokio::select! {
        registered = prepare_and_register(&context) => Some(registered),
        () = shutdown.in_order.cancelled() => None,
    };
    if !matches!(registered, Some(Ok(()))) {
        remove_work_dir(&context);
        return registered.unwrap_or(Ok(()));
    }
    let worker = &context.worker;
    tracing::info!(worker = worker.id, slots = worker.slots, dce_version = %dce_version, "worker.started");

    let wake = Arc::new(Notify::new());
    let runs = TaskTracker::new();
    let background = [
        spawn_with(&context, async |context| {
            let WorkerContext { control, worker, database, .. } = &*context;
            context.leases.run_heartbeat(control, worker, database, || problem(&context)).await;
        }),
        spawn_with(&context, async |context| maintain(&context).await),
        tokio::spawn(listen(Arc::clone(&context), Arc::clone(&wake))),
    ];
    let claiming =
        tokio::spawn(claim_runs(Arc::clone(&context), wake, runs.clone(), shutdown.in_order.clone()));
    shutdown.in_order.cancelled().await;
    let drained = drain(&context, claiming, &runs, &shutdown.at_once).await;
    for task in background {
        task.abort();
    }
    deregister(&context).await;
    if drained {
        remove_work_dir(&context);
    } // else attempts still read there: the next sweep of any worker removes the folder when this process is gone
    tracing::info!("worker.stopped");
    Ok(())
}

async fn deregister(context: &WorkerContext) {
    let deregistered = timeout(DEREGISTER_LIMIT, workers::deregister(&context.control, &context.worker.id));
    let error = match deregistered.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} s", DEREGISTER_LIMIT.as_secs()),
    };
    tracing::warn!(error, "worker.not_deregistered");
}

/// To be called when no attempt of this worker runs any more.
fn remove_work_dir(context: &WorkerContext) {
    if let Err(error) = context.work_dir.remove() {
        tracing::warn!(error = %error, "worker.leftovers");
    }
}

/// Waits for the database, migrates it if `MIGRATE_ON_START` is set, and registers the worker.
async fn prepare_and_register(context: &WorkerContext) -> anyhow::Result<()> {
    if schema::prepare(&context.settings.database, context.settings.migrate).await? {
        context.database.record_failed_heartbeat();
    }
    loop {
        match in_time(workers::register(&context.control, &context.worker, Readiness::default())).await {
            Err(error) if error.is_read_only() => {
                context.database.record_failure(&error);
                sleep(READ_ONLY_PAUSE).await;
            }
            registered => return registered.context("cannot register the worker"),
        }
    }
}

/// Makes an id that is new at every start: two lives of one machine must not look like one worker.
fn describe_worker(settings: &Settings, dce_version: DceVersion) -> Worker {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    // application_name holds 63 bytes, of which the ULID takes 26. The id is also the name of a folder in DCE's output
    // path.
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || "-._".contains(*c);
    let prefix: String = host.chars().filter(is_allowed).take(32).collect();
    Worker {
        id: format!("{prefix}-{}", Ulid::generate()),
        host,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dce_version: dce_version.to_string(),
        slots: settings.slots,
    }
}

fn spawn_with<F>(context: &Arc<WorkerContext>, task: impl FnOnce(Arc<WorkerContext>) -> F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(task(Arc::clone(context)))
}

/// The reason why this worker starts no runs.
fn problem(context: &WorkerContext) -> Option<FailureKind> {
    if context.breaker.is_rejected() {
        return Some(FailureKind::InvalidToken);
    }
    (context.disk.last_known() != DiskSpace::Enough).then_some(FailureKind::DiskFull)
}

/// Waits for runs that finish within the grace and hands the others back, so that another worker resumes them at once.
/// Returns `false` if some runs did not end in time.
async fn drain(
    context: &WorkerContext,
    claiming: JoinHandle<()>,
    runs: &TaskTracker,
    at_once: &CancellationToken,
) -> bool {
    context.leases.drain();
    tracing::info!(runs = runs.len(), "worker.draining");
    let mut ended = std::pin::pin!(async {
        let _ = claiming.await; // a panic there is logged already; its runs are awaited nevertheless
        runs.close();
        runs.wait().await;
    });
    let reserved = RESERVED.min(context.settings.shutdown_grace);
    let patience = context.settings.shutdown_grace.saturating_sub(reserved);
    for (instruction, limit) in [(None, patience), (Some(Instruction::HandBack), reserved)] {
        if let Some(instruction) = instruction {
            context.leases.instruct_all(instruction);
        }
        tokio::select! {
            () = &mut ended => return true,
            () = sleep(limit) => {}
            () = at_once.cancelled() => break,
        }
    }
    if at_once.is_cancelled() {
        tracing::warn!(runs = runs.len(), "worker.hurried");
        context.leases.instruct_all(Instruction::HandBackNow);
        if timeout(AT_ONCE, ended).await.is_ok() {
            return true;
        }
    }
    tracing::error!(runs = runs.len(), "worker.grace_over");
    false
}
