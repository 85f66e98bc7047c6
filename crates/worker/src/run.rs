//! The story of one attempt at a run: spawn DCE, follow its output into Postgres, end truthfully.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::ends::{self, AttemptReport};
use dce_core::store::runs::ClaimedRun;
use tokio::sync::mpsc;
use tracing::Instrument;

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
/// How much of DCE's stderr the history keeps.
const STDERR_KEPT: usize = 4000;

/// Runs one claimed run to the end of this attempt. Whatever happens, the tables tell the truth afterwards: either the
/// end is recorded, or the lease expires and another worker goes on from the cursor.
pub async fn run(shared: &Shared, run: ClaimedRun) {
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
        let directory = shared.settings.work_dir.join(&shared.worker.id).join(format!(
            "{}-{}",
            run.fence.run_id.simple(),
            run.fence.attempt
        ));
        let attempt = match create_private(&directory) {
            Ok(()) => attempt(shared, &run, &mut lease, &directory).await,
            Err(error) => Attempt::not_started(worker_error(&error), &run),
        };
        record(shared, &run, &attempt, started.elapsed()).await;
        if let Err(error) = std::fs::remove_dir_all(&directory).or_else(gone_is_fine) {
            tracing::warn!(error = %error, "attempt.leftovers");
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
async fn attempt(shared: &Shared, run: &ClaimedRun, lease: &mut Lease<'_>, directory: &Path) -> Attempt {
    let mut dce = match spawn(shared, run, directory).await {
        Ok(dce) => dce,
        Err(failure) => return Attempt::not_started(failure, run),
    };
    let exited = ExitFlag::default();
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
    let mut watch = Watch::new(parts.clone(), shared.settings.stall_timeout, shared.settings.export_timeout);

    // Until DCE has ended, by itself or because somebody has a reason to stop it.
    let mut written = None;
    let (stopped, exit) = tokio::select! {
        exit = dce.wait() => (None, exit),
        order = lease.ordered() => match order {
            Order::Abandon => (Some(Stopped::Abandoned), dce.stop(Duration::ZERO).await),
            _ => (Some(Stopped::HandBack), dce.stop(STOP_PATIENCE).await),
        },
        // Before DCE's end only an error ends the writing: of its own, or because the reader gave up.
        done = &mut writing => {
            written = Some(done);
            (Some(Stopped::Ingest), dce.stop(STOP_PATIENCE).await)
        }
        stopped = watch.alarm() => (Some(stopped), dce.stop(STOP_PATIENCE).await),
    };
    exited.set();
    if stopped == Some(Stopped::Abandoned) {
        return Attempt { outcome: Outcome::Lost, report: report(shared, &exit), messages: 0 };
    }

    // What DCE wrote before its end is kept in any case.
    let mut written = match written {
        Some(written) => written,
        None => writing.await,
    };
    let read = reading.await.unwrap_or_else(|panic| Err(ReadError::Io(io::Error::other(panic))));
    if written.is_ok() {
        written = writer.finish(is_through(&exit, &read)).await;
    }
    Attempt {
        outcome: judge(stopped, &exit, &read, &written),
        report: report(shared, &exit),
        messages: writer.messages().await,
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

/// Records how the attempt ended. If even repeated tries fail, the lease expires and the reconciler records that.
async fn record(shared: &Shared, run: &ClaimedRun, attempt: &Attempt, elapsed: Duration) {
    let (pool, fence, limit) = (&shared.control, &run.fence, shared.settings.limit);
    let ended = match &attempt.outcome {
        Outcome::Completed => ends::complete(pool, fence, &attempt.report, limit).await,
        Outcome::Failed(failure) => {
            ends::fail(pool, fence, failure, (shared.jitter)(), &attempt.report, limit).await
        }
        Outcome::HandedBack => ends::hand_back(pool, fence, &attempt.report, limit).await,
        Outcome::Lost => Err(StoreError::Lost),
    };
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let messages = attempt.messages;
    match (ended, &attempt.outcome) {
        (Ok(status), Outcome::Failed(failure)) => tracing::warn!(
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

/// A folder of this attempt's own, readable by nobody else.
fn create_private(directory: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
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
