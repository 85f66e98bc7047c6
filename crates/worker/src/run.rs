//! The story of one attempt at a run: spawn DCE, follow its output into Postgres, end truthfully.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::ends::{self, AttemptReport};
use dce_core::store::runs::ClaimedRun;
use tokio::sync::{OnceCell, mpsc};
use tokio::time::timeout;
use tracing::Instrument;

use crate::breaker::Permission;
use crate::dce::{
    Exit, ExitFlag, ExportCommand, Follower, Launch, Parts, Running, environment, reported_empty,
};
use crate::ingest::lanes::write_all;
use crate::ingest::reader::{ReadError, Reader};
use crate::ingest::writer::Writer;
use crate::lease::{Lease, Order};
use crate::outcome::{Outcome, Stopped, is_through, judge};
use crate::shared::Shared;
use crate::watch::Watch;

/// Messages in one of DCE's files; a file is deleted when its messages are committed, which bounds the disk.
const MESSAGES_PER_PART: u32 = 5000;
/// Batches on their way from the reader to the writer, besides the one being filled and those being written.
const BATCHES_WAITING: usize = 2;
/// DCE closes its output within 0.2 s of SIGINT (DCE 2.47: docs/dce.md); after this it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How long the last writes may take when there is no time left.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Pause before the end of an attempt is recorded again.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// How much of DCE's stderr the history keeps.
const STDERR_KEPT: usize = 4000;

/// Runs one claimed run to the end of this attempt. Whatever happens, the tables tell the truth afterwards: either the
/// end is recorded, or the lease expires and another worker goes on from the cursor. `permission`: whether this is a
/// trial of a token that Discord refused.
pub async fn run(shared: &Shared, run: ClaimedRun, permission: Permission) {
    let span = tracing::info_span!(
        "run",
        job_id = %run.job_id,
        run_id = %run.fence.run_id,
        channel_id = %run.channel_id,
        attempt = run.fence.attempt,
        request_id = run.request_id,
    );
    async {
        let started = Instant::now();
        let mut lease = shared.leases.hold(&run.fence);
        tracing::info!(cursor = run.cursor.map(tracing::field::display), "attempt.started");
        match shared.work_dir.attempt_dir(run.fence.run_id, run.fence.attempt) {
            Ok(directory) => {
                let attempt = attempt(shared, &run, permission, &mut lease, &directory).await;
                record(shared, &run, &attempt, started.elapsed()).await;
                if let Err(error) = std::fs::remove_dir_all(&directory).or_else(gone_is_fine) {
                    tracing::warn!(error = %error, "attempt.leftovers");
                }
            }
            Err(error) => {
                let attempt = Attempt::not_started(worker_error(&error), &run);
                record(shared, &run, &attempt, started.elapsed()).await;
            }
        }
    }
    .instrument(span)
    .await;
}

/// What is known when an attempt is over.
struct Attempt {
    outcome: Outcome,
    report: AttemptReport,
    /// Messages of the run that are stored, over all attempts.
    messages: i64,
}

impl Attempt {
    fn not_started(failure: Failure, run: &ClaimedRun) -> Self {
        Self {
            outcome: Outcome::Failed(failure),
            report: AttemptReport::default(),
            messages: run.message_count,
        }
    }
}

/// Spawn, follow, watch, stop if need be, judge.
async fn attempt(
    shared: &Shared,
    run: &ClaimedRun,
    permission: Permission,
    lease: &mut Lease<'_>,
    directory: &Path,
) -> Attempt {
    let mut dce = match spawn(shared, run, directory).await {
        Ok(dce) => dce,
        Err(failure) => return Attempt::not_started(failure, run),
    };
    let exited = ExitFlag::default();
    let _released = exited.set_on_drop(); // the reader too, if this panics
    let parts = Parts::new(directory.to_owned());
    let (deliveries, delivered) = mpsc::channel(BATCHES_WAITING);
    let (recycle, recycled) = mpsc::channel(BATCHES_WAITING + 1);
    let reader = Reader {
        follower: Follower::new(parts.clone(), exited.clone()),
        channel_id: run.channel_id,
        job_id: run.job_id,
        cursor: run.cursor,
        deliveries,
        recycled,
    };
    let reading = tokio::task::spawn_blocking(move || reader.read());
    let writer = Writer::new(&shared.sessions, run);
    let mut writing = std::pin::pin!(write_all(&writer, delivered, recycle, &parts));
    let settings = &shared.settings;
    let mut watch = Watch::new(parts.clone(), settings.stall_timeout, settings.export_timeout)
        .with_disk(Arc::clone(&shared.disk), settings.attempt_disk_limit);
    let mut trial = std::pin::pin!(tried(shared, permission, &writer));

    // Until DCE has ended, by itself or because somebody has a reason to stop it.
    let mut written = None;
    let mut order = Order::Continue;
    let stopped = tokio::select! {
        exit = dce.wait() => Ok(exit),
        new = lease.ordered_beyond(Order::Continue) => {
            order = new;
            Err(if order == Order::Abandon { Stopped::Abandoned } else { Stopped::HandBack })
        }
        // Before DCE's end only an error ends the writing: of its own, or because the reader gave up.
        done = &mut writing => {
            written = Some(done);
            Err(Stopped::Ingest)
        }
        stopped = watch.alarm() => Err(stopped),
        () = shared.outages.read_only() => Err(Stopped::ReadOnly),
        never = &mut trial => match never {},
    };
    let (stopped, exit) = match stopped {
        Ok(exit) => (None, exit),
        Err(stopped) => (Some(stopped), stop(&mut dce, lease, &mut order).await),
    };
    exited.set();
    let report = report(shared, &exit);

    // What DCE wrote before its end is kept in any case.
    let last_writes = std::pin::pin!(async {
        let mut written = match written {
            Some(written) => written,
            None => writing.await,
        };
        let read = reading.await.unwrap_or_else(|panic| Err(ReadError::Io(io::Error::other(panic))));
        if written.is_ok() {
            written = writer.finish(is_through(&exit, &read)).await;
        }
        judge(stopped, &exit, &read, &written)
    });
    let outcome = tokio::select! {
        outcome = unless_ordered(last_writes, lease, order) => outcome,
        never = &mut trial => match never {},
    };
    if permission == Permission::Trial && writer.is_described() {
        accept(shared).await; // it may have come with DCE's end
    }
    let messages = if outcome == Outcome::Lost { 0 } else { writer.messages().await };
    Attempt { outcome, report, messages }
}

/// Stops DCE in order, or kills it if that is the order or becomes it.
async fn stop(dce: &mut Running, lease: &mut Lease<'_>, order: &mut Order) -> Exit {
    if *order <= Order::HandBack {
        tokio::select! {
            exit = dce.stop(STOP_PATIENCE) => return exit,
            new = lease.ordered_beyond(Order::HandBack) => *order = new,
        }
    }
    dce.stop(Duration::ZERO).await
}

/// The last writes of an attempt whose DCE has ended, cut short by an order that leaves no time for them.
async fn unless_ordered(
    mut writes: Pin<&mut impl Future<Output = Outcome>>,
    lease: &mut Lease<'_>,
    mut order: Order,
) -> Outcome {
    loop {
        match order {
            Order::Abandon => return Outcome::Lost,
            Order::HandBackNow => {
                return timeout(LAST_WRITES, writes).await.unwrap_or(Outcome::HandedBack(None));
            }
            Order::Continue | Order::HandBack => tokio::select! {
                outcome = &mut writes => return outcome,
                new = lease.ordered_beyond(order) => order = new,
            },
        }
    }
}

/// Says that Discord takes the token again as soon as the attempt shows it, if it is a trial.
async fn tried(shared: &Shared, permission: Permission, writer: &Writer<'_>) -> Infallible {
    if permission == Permission::Trial {
        writer.described().await;
        accept(shared).await;
    }
    std::future::pending().await
}

async fn accept(shared: &Shared) {
    match shared.breaker.accept(&shared.control).await {
        Ok(()) => shared.leases.beat_now(),
        // The next trial says it again.
        Err(error) => tracing::warn!(error = %error, "token.not_accepted"),
    }
}

async fn spawn(shared: &Shared, run: &ClaimedRun, directory: &Path) -> Result<Running, Failure> {
    let command = export_command(run, directory);
    let arguments = command.arguments(shared.dce_version).map_err(|error| {
        // The API refuses such requests; a row of another origin may still hold one.
        Failure::new(FailureKind::InvalidArguments).with_detail(error.to_string())
    })?;
    let launch = Launch {
        arguments,
        environment: environment(&shared.settings.token, directory, std::env::vars_os()),
        directory,
        token: &shared.settings.token,
    };
    let dce = shared.spawner.spawn(launch).await.map_err(|error| Failure::from(&error))?;
    tracing::info!(pid = dce.pid(), "dce.started");
    Ok(dce)
}

/// The window of this attempt: from the cursor, else from just below the first id of `start_at`, because `--after` is
/// exclusive and `start_at` is not; up to the bound that the first claim fixed.
fn export_command(run: &ClaimedRun, directory: &Path) -> ExportCommand {
    let from_start = run.start_at.and_then(Snowflake::first_at).map(Snowflake::before);
    ExportCommand {
        channel_id: run.channel_id,
        after: run.cursor.max(from_start),
        before: Some(run.upper),
        filter: run.options.filter.clone(),
        markdown: run.options.markdown,
        partition: MESSAGES_PER_PART,
        output: Parts::new(directory.to_owned()).path(1),
    }
}

fn report(shared: &Shared, exit: &Exit) -> AttemptReport {
    let stderr = exit.stderr.tail(STDERR_KEPT).to_owned();
    AttemptReport {
        dce_version: Some(shared.dce_version.to_string()),
        exit_code: exit.code,
        stderr_tail: Some(stderr).filter(|text| !text.is_empty()),
        reported_empty: reported_empty(&exit.stderr),
    }
}

/// Records how the attempt ended, as soon as the database takes it; until then the run stays this worker's. If the worker
/// ends first, the lease expires and the reconciler records that.
async fn record(shared: &Shared, run: &ClaimedRun, attempt: &Attempt, elapsed: Duration) {
    let rejected_first = OnceCell::new();
    let mut said = false;
    let ended = loop {
        match try_record(shared, run, attempt, &rejected_first).await {
            Err(error) if error.is_passing() || error.is_read_only() => {
                if !shared.outages.failed(&error) && !std::mem::replace(&mut said, true) {
                    tracing::warn!(error = %error, "attempt.unrecorded, trying again");
                }
                shared.outages.writable().await;
                tokio::time::sleep(RECORD_PAUSE).await;
            }
            ended => break ended,
        }
    };
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let messages = attempt.messages;
    match (ended, &attempt.outcome) {
        (Ok(status), Outcome::Failed(failure) | Outcome::HandedBack(Some(failure))) => tracing::warn!(
            duration_ms,
            messages,
            %status,
            error.kind = failure.kind.code(),
            error.detail = failure.detail,
            exit_code = attempt.report.exit_code,
            "attempt.failed"
        ),
        (Ok(status), _) => tracing::info!(duration_ms, messages, %status, "attempt.ended"),
        (Err(StoreError::Lost), _) => tracing::warn!(duration_ms, "attempt.lost: another worker has the run"),
        (Err(error), outcome) => {
            tracing::error!(duration_ms, ?outcome, error = %error, "attempt.unrecorded: its lease will expire");
        }
    }
}

/// `rejected_first`: whether this attempt was the first to learn that Discord refuses the token, once that is known.
async fn try_record(
    shared: &Shared,
    run: &ClaimedRun,
    attempt: &Attempt,
    rejected_first: &OnceCell<bool>,
) -> Result<RunStatus, StoreError> {
    let (pool, fence, limit) = (&shared.control, &run.fence, shared.settings.limit);
    let report = &attempt.report;
    match &attempt.outcome {
        Outcome::Completed => ends::complete(pool, fence, report, limit).await,
        Outcome::Failed(failure) => {
            // The first one fails, so that somebody hears of it. Others wait for a token that works.
            if failure.kind == FailureKind::InvalidToken
                && !*rejected_first.get_or_try_init(|| shared.breaker.reject(pool)).await?
            {
                return ends::hand_back_because(pool, fence, failure, report, limit).await;
            }
            ends::fail(pool, fence, failure, (shared.jitter)(), report, limit).await
        }
        Outcome::HandedBack(None) => ends::hand_back(pool, fence, report, limit).await,
        Outcome::HandedBack(Some(reason)) => {
            ends::hand_back_because(pool, fence, reason, report, limit).await
        }
        Outcome::Lost => Err(StoreError::Lost),
    }
}

fn worker_error(error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => FailureKind::DiskFull,
        _ => FailureKind::WorkerError,
    };
    Failure::new(kind).with_detail(format!("WORK_DIR: {error}"))
}

fn gone_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
