//! One attempt: spawn DCE, follow its output into Postgres, stop it where there is a reason to, judge what came of it.

use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::store::transitions::{AttemptReport, ClaimedRun};
use futures_util::future::{MaybeDone, maybe_done};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::attempt_outcome::{AttemptOutcome, StopReason, decide_outcome, is_complete};
use crate::context::WorkerContext;
use crate::dce::{
    DceProcess, Exit, ExitFlag, ExportArguments, Follower, Launch, Parts, environment, reported_empty,
};
use crate::ingest::archived::archived_of;
use crate::ingest::lanes::{BATCHES_WAITING, write_all};
use crate::ingest::reader::{Origins, ReadError, Reader};
use crate::ingest::writer::{WriteError, Writer};
use crate::lease::{Instruction, LAST_WRITES, Lease};
use crate::token_breaker::{BreakerState, HalfOpenProbe};
use crate::watchdog::Watchdog;

/// Messages in one of DCE's files; a file is deleted when its messages are committed, which bounds the disk.
const MESSAGES_PER_PART: u32 = 5000;
/// DCE closes its output within 0.2 s of SIGINT (DCE 2.47: docs/dce.md); after this it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How much of DCE's stderr the history keeps.
const STDERR_KEPT: usize = 4000;

/// What is known when an attempt is over.
pub(crate) struct Attempt {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) report: AttemptReport,
    /// Messages of the run that are stored, over all attempts.
    pub(crate) messages: i64,
    /// Whether it was a trial of a token that Discord refused.
    pub(crate) was_probe: bool,
}

impl Attempt {
    /// DCE did not start.
    pub(crate) fn not_started(failure: Failure, run: &ClaimedRun) -> Self {
        Self {
            outcome: AttemptOutcome::Failed(failure),
            report: AttemptReport::default(),
            messages: run.message_count,
            was_probe: false,
        }
    }
}

/// Tries. DCE has ended when this returns, and nothing is written any more.
pub(crate) async fn attempt(
    shared: &Arc<WorkerContext>,
    run: &ClaimedRun,
    permission: BreakerState,
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
    let (archived, looks) = archived_of(run);
    let reader = Reader {
        source: Follower::new(parts.clone(), exited.clone()),
        origins: Origins::OwnDce,
        channel_id: run.channel_id,
        job_id: run.job_id,
        cursor: run.cursor,
        archived,
        deliveries,
        recycled,
    };
    let reading = tokio::task::spawn_blocking(move || reader.read());
    let writer = Writer::new(&shared.sessions, run);
    let mut writing = pin!(maybe_done(write_all(&writer, delivered, recycle, looks, Some(&parts))));
    let settings = &shared.settings;
    let (stall_limit, total_limit) = (settings.stall_timeout, settings.export_timeout);
    let mut watch = Watchdog::new(parts.clone(), dce.progress(), stall_limit, total_limit)
        .with_disk(Arc::clone(&shared.disk), settings.attempt_disk_limit);
    let trial = matches!(permission, BreakerState::HalfOpen(_))
        .then(|| HalfOpenProbe::watch(shared, writer.books().described()));

    // Until DCE has ended, by itself or because somebody has a reason to stop it.
    let mut order = Instruction::Continue;
    let stopped = tokio::select! {
        exit = dce.wait() => Ok(exit),
        new = lease.instruction_beyond(Instruction::Continue) => {
            order = new;
            Err(if order == Instruction::Abandon { StopReason::Abandoned } else { StopReason::HandBack })
        }
        // Before DCE's end only an error ends the writing: of its own, or because the reader gave up.
        () = &mut writing => Err(StopReason::Ingest),
        stopped = watch.limit_reached() => Err(stopped),
        () = shared.database.read_only() => Err(StopReason::ReadOnly),
    };
    let (stopped, exit) = match stopped {
        Ok(exit) => (None, exit),
        Err(stopped) => (Some(stopped), beside(writing.as_mut(), stop(&mut dce, lease, &mut order)).await),
    };
    exited.set();

    // What DCE wrote before its end is kept in any case.
    let last_writes = async {
        writing.as_mut().await;
        // Taken once, after its end: never `None`.
        let mut written = writing.take_output().unwrap_or(Err(WriteError::Lost));
        let read = reading.await.unwrap_or_else(|panic| Err(ReadError::Io(io::Error::other(panic))));
        let is_complete = is_complete(&exit, &read);
        if written.is_ok() && is_complete {
            written = writer.mark_rest(reported_empty(&exit.stderr)).await;
        }
        if written.is_ok() {
            written = writer.finish(is_complete).await;
        }
        decide_outcome(stopped, &exit, &read, &written)
    };
    let outcome = unless_ordered(pin!(last_writes), lease, order).await;
    if let Some(trial) = &trial {
        trial.finish(shared, &outcome, writer.books().is_described()).await;
    }
    let messages = writer.books().messages();
    Attempt { outcome, report: report(shared, &exit), messages, was_probe: trial.is_some() }
}

/// Waits for `other` while batches go on being written: their transactions hold locks and sessions that others need.
async fn beside<T>(
    writing: Pin<&mut MaybeDone<impl Future<Output = Result<(), WriteError>>>>,
    other: impl Future<Output = T>,
) -> T {
    let mut other = pin!(other);
    tokio::select! {
        value = &mut other => value,
        () = writing => other.await,
    }
}

/// Stops DCE in order, or kills it if that is the order or becomes it.
async fn stop(dce: &mut DceProcess, lease: &mut Lease<'_>, order: &mut Instruction) -> Exit {
    if *order <= Instruction::HandBack {
        tokio::select! {
            exit = dce.stop(STOP_PATIENCE) => return exit,
            new = lease.instruction_beyond(Instruction::HandBack) => *order = new,
        }
    }
    dce.stop(Duration::ZERO).await
}

/// The last writes of an attempt whose DCE has ended, cut short by an order that leaves no time for them.
async fn unless_ordered(
    mut writes: Pin<&mut impl Future<Output = AttemptOutcome>>,
    lease: &mut Lease<'_>,
    mut order: Instruction,
) -> AttemptOutcome {
    loop {
        match order {
            Instruction::Abandon => return AttemptOutcome::Lost,
            Instruction::HandBackNow => {
                return timeout(LAST_WRITES, writes).await.unwrap_or(AttemptOutcome::HandedBack(None));
            }
            Instruction::Continue | Instruction::HandBack => tokio::select! {
                outcome = &mut writes => return outcome,
                new = lease.instruction_beyond(order) => order = new,
            },
        }
    }
}

async fn spawn(shared: &WorkerContext, run: &ClaimedRun, directory: &Path) -> Result<DceProcess, Failure> {
    let command = export_command(run, directory);
    let arguments = command.to_args(shared.dce_version).map_err(|error| {
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

/// The window of this attempt: from where the one before stopped, up to the bound that the first claim fixed.
fn export_command(run: &ClaimedRun, directory: &Path) -> ExportArguments {
    ExportArguments {
        channel_id: run.channel_id,
        after: run.after(),
        before: Some(run.upper),
        filter: run.options.filter.clone(),
        markdown: run.options.markdown,
        partition: MESSAGES_PER_PART,
        output: Parts::new(directory.to_owned()).path(1),
    }
}

fn report(shared: &WorkerContext, exit: &Exit) -> AttemptReport {
    let stderr = exit.stderr.tail(STDERR_KEPT).to_owned();
    AttemptReport {
        dce_version: Some(shared.dce_version.to_string()),
        exit_code: exit.code,
        stderr_tail: Some(stderr).filter(|text| !text.is_empty()),
        reported_empty: reported_empty(&exit.stderr),
    }
}
