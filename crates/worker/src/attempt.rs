//! One attempt: starts DCE, ingests its output, stops it when there is a reason, and decides the outcome.

use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::store::transitions::{AttemptReport, ClaimedRun};
use futures_util::future::{MaybeDone, maybe_done};
use tokio::time::timeout;

use crate::attempt_outcome::{AttemptOutcome, ReadOutcome, StopReason, decide_outcome};
use crate::conclusion::{Conclusion, Through};
use crate::context::WorkerContext;
use crate::dce::{DceProcess, Exit, ExitFlag, ExportArguments, Follower, Launch, Parts, environment};
use crate::ingest::read::source::Author;
use crate::ingest::{Ingest, Ingested};
use crate::lease::{Instruction, LAST_WRITES, Lease};
use crate::token_breaker::BreakerState;
use crate::token_probe::HalfOpenProbe;
use crate::watchdog::Watchdog;

/// Messages per file of DCE. A file is deleted once its messages are committed, which bounds the disk.
const MESSAGES_PER_PART: u32 = 5000;
/// Time between SIGINT and SIGKILL. DCE closes its output within 0.2 s (DCE 2.47: docs/dce.md).
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of DCE's stderr that the history keeps.
const STDERR_KEPT: usize = 4000;

/// Result of an attempt.
pub(crate) struct Attempt {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) report: AttemptReport,
    /// Committed messages of the run, over all attempts.
    pub(crate) messages: i64,
    /// Whether the attempt probed a token that Discord had refused.
    pub(crate) was_probe: bool,
}

impl Attempt {
    /// The result if DCE did not start.
    pub(crate) fn not_started(failure: Failure, run: &ClaimedRun) -> Self {
        Self {
            outcome: AttemptOutcome::Failed(failure),
            report: AttemptReport::default(),
            messages: run.message_count,
            was_probe: false,
        }
    }
}

/// Runs the attempt to its end: when this returns, DCE has ended and nothing is written any more.
pub(crate) async fn attempt(
    context: &Arc<WorkerContext>,
    run: &ClaimedRun,
    token: BreakerState,
    lease: &mut Lease<'_>,
    directory: &Path,
) -> Attempt {
    let filter = match run.options.parsed_filter() {
        Ok(filter) => filter,
        Err(error) => {
            let failure = Failure::new(FailureKind::InvalidFilter).with_detail(error.to_string());
            return Attempt::not_started(failure, run);
        }
    };
    let ingest = Ingest::new(&context.sessions, run, Author::OwnDce, filter);
    let conclusion = Conclusion { context, run, ingest: &ingest };
    let probe = matches!(token, BreakerState::HalfOpen(_))
        .then(|| HalfOpenProbe::watch(context, ingest.checkpoints().described()));
    let mut report = AttemptReport::default();
    let outcome = match conclusion.before_reading(lease, &mut report).await {
        Some(outcome) => outcome,
        None => read(conclusion, lease, directory, &mut report).await,
    };
    if let Some(probe) = &probe {
        probe.finish(context, &outcome, ingest.checkpoints().is_described()).await;
    }
    let messages = ingest.checkpoints().messages();
    Attempt { outcome, report, messages, was_probe: probe.is_some() }
}

/// Starts DCE, ingests its output, and asks Discord at its end.
async fn read(
    conclusion: Conclusion<'_>,
    lease: &mut Lease<'_>,
    directory: &Path,
    report: &mut AttemptReport,
) -> AttemptOutcome {
    let Conclusion { context, run, ingest } = conclusion;
    let started = Instant::now();
    let mut dce = match spawn(context, run, directory).await {
        Ok(dce) => dce,
        Err(failure) => return AttemptOutcome::Failed(failure),
    };
    let exited = ExitFlag::default();
    let _exited = exited.set_on_drop(); // ends the reader, too, if this panics
    let parts = Parts::new(directory.to_owned());
    let source = Follower::new(parts.clone(), exited.clone());
    let mut ingesting = pin!(maybe_done(ingest.run(source, |part| delete(&parts, part))));
    let settings = &context.settings;
    let (stall_limit, total_limit) = (settings.stall_timeout, settings.export_timeout);
    let mut watchdog = Watchdog::new(parts.clone(), dce.progress(), stall_limit, total_limit)
        .with_disk(Arc::clone(&context.disk), settings.attempt_disk_limit);

    // Until DCE ends, by itself or because there is a reason to stop it.
    let mut instruction = Instruction::Continue;
    let stopped = tokio::select! {
        exit = dce.wait() => Ok(exit),
        new = lease.instruction_beyond(Instruction::Continue) => {
            instruction = new;
            Err(if new == Instruction::Abandon { StopReason::Abandoned } else { StopReason::HandBack })
        }
        // Before DCE's end only an error ends the ingest.
        () = &mut ingesting => Err(StopReason::Ingest),
        stopped = watchdog.limit_reached() => Err(stopped),
        () = context.database.read_only() => Err(StopReason::ReadOnly),
    };
    let (stopped, exit) = match stopped {
        Ok(exit) => (None, exit),
        Err(stopped) => {
            (Some(stopped), beside(ingesting.as_mut(), stop(&mut dce, lease, &mut instruction)).await)
        }
    };
    exited.set();
    describe(context, &exit, report);

    // Everything that DCE wrote before its end is kept in any case.
    let last_writes = async {
        ingesting.as_mut().await;
        // Taken once, after its end: never `None`.
        let Some(Ingested { read, mut written }) = ingesting.take_output() else {
            return ReadOutcome::Ended(AttemptOutcome::Lost);
        };
        if written.is_ok() {
            written = ingest.flush().await;
        }
        decide_outcome(stopped, &exit, &read, &written)
    };
    match unless_instructed(pin!(last_writes), lease, instruction).await {
        ReadOutcome::Through => {
            let seen = ingest.read_summary();
            let through = Through { started, seen };
            conclusion.after_reading(lease, through, report).await
        }
        ReadOutcome::Ended(AttemptOutcome::Failed(failure)) => {
            conclusion.confirm(lease, failure, report).await
        }
        ReadOutcome::Ended(outcome) => outcome,
    }
}

/// Waits for `other` while the ingest goes on: its transactions hold locks and sessions that others need.
async fn beside<T>(
    ingesting: Pin<&mut MaybeDone<impl Future<Output = Ingested>>>,
    other: impl Future<Output = T>,
) -> T {
    let mut other = pin!(other);
    tokio::select! {
        value = &mut other => value,
        () = ingesting => other.await,
    }
}

fn delete(parts: &Parts, part: u32) {
    if let Err(error) = parts.delete(part) {
        tracing::warn!(part, error = %error, "part.not_deleted");
    }
}

/// Stops DCE with SIGINT; kills it if the instruction leaves no time or becomes one that does not.
async fn stop(dce: &mut DceProcess, lease: &mut Lease<'_>, instruction: &mut Instruction) -> Exit {
    if *instruction <= Instruction::HandBack {
        tokio::select! {
            exit = dce.stop(STOP_LIMIT) => return exit,
            new = lease.instruction_beyond(Instruction::HandBack) => *instruction = new,
        }
    }
    dce.stop(Duration::ZERO).await
}

/// Waits for the last writes of an attempt whose DCE has ended, unless an instruction leaves no time for them.
async fn unless_instructed(
    mut writes: Pin<&mut impl Future<Output = ReadOutcome>>,
    lease: &mut Lease<'_>,
    mut instruction: Instruction,
) -> ReadOutcome {
    loop {
        match instruction {
            Instruction::Abandon => return ReadOutcome::Ended(AttemptOutcome::Lost),
            Instruction::HandBackNow => {
                return timeout(LAST_WRITES, writes)
                    .await
                    .unwrap_or(ReadOutcome::Ended(AttemptOutcome::HandedBack(None)));
            }
            Instruction::Continue | Instruction::HandBack => tokio::select! {
                outcome = &mut writes => return outcome,
                new = lease.instruction_beyond(instruction) => instruction = new,
            },
        }
    }
}

async fn spawn(context: &WorkerContext, run: &ClaimedRun, directory: &Path) -> Result<DceProcess, Failure> {
    let arguments = arguments(run, directory).to_args(context.dce_version).map_err(|error| {
        // The API refuses such requests; a row from elsewhere may still contain one.
        Failure::new(FailureKind::InvalidArguments).with_detail(error.to_string())
    })?;
    let launch = Launch {
        arguments,
        environment: environment(&context.settings.token, directory, std::env::vars_os()),
        directory,
        token: &context.settings.token,
    };
    let dce = context.spawner.spawn(launch).await.map_err(|error| Failure::from(&error))?;
    context.discord.count_dce_start();
    tracing::info!(pid = dce.pid(), "dce.started");
    Ok(dce)
}

/// The window of this attempt: from the end of the previous one, up to the bound that the first claim fixed.
fn arguments(run: &ClaimedRun, directory: &Path) -> ExportArguments {
    ExportArguments {
        channel_id: run.channel_id,
        after: run.after(),
        before: Some(run.upper),
        markdown: run.options.markdown,
        partition: MESSAGES_PER_PART,
        output: Parts::new(directory.to_owned()).path(1),
    }
}

/// Adds DCE's end to the report.
fn describe(context: &WorkerContext, exit: &Exit, report: &mut AttemptReport) {
    let stderr = exit.stderr.tail(STDERR_KEPT).to_owned();
    report.dce_version = Some(context.dce_version.to_string());
    report.exit_code = exit.code;
    report.stderr_tail = Some(stderr).filter(|text| !text.is_empty());
}
