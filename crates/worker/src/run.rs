//! Executes one claimed run on this worker: holds its lease, makes an attempt, records the outcome.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::store::StoreError;
use dce_core::store::transitions::{self, ClaimedRun};
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::attempt::{Attempt, attempt};
use crate::attempt_outcome::AttemptOutcome;
use crate::context::WorkerContext;
use crate::token_breaker::BreakerState;
use crate::work_dir::ignore_not_found;

const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// Executes one claimed run to the end of this attempt. In any case the tables are right afterwards: either the outcome
/// is recorded, or the lease expires and another worker resumes at the cursor. `breaker` tells whether the run probes a
/// token that Discord rejected.
pub async fn run(context: &Arc<WorkerContext>, run: ClaimedRun, breaker: BreakerState) {
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
        let mut lease = context.leases.hold(&run.fence);
        tracing::info!(cursor = run.cursor.map(tracing::field::display), "attempt.started");
        match context.work_dir.attempt_dir(run.fence.run_id, run.fence.attempt) {
            Ok(directory) => {
                let attempt = attempt(context, &run, breaker, &mut lease, &directory).await;
                record(context, &run, &attempt, started.elapsed()).await;
                if let Err(error) = ignore_not_found(std::fs::remove_dir_all(&directory)) {
                    tracing::warn!(error = %error, "attempt.leftovers");
                }
            }
            Err(error) => {
                let attempt = Attempt::not_started(work_dir_failure(&error), &run);
                record(context, &run, &attempt, started.elapsed()).await;
            }
        }
    }
    .instrument(span)
    .await;
}

/// Records the outcome as soon as the database accepts it; until then this worker keeps the lease. If the worker ends
/// first, the lease expires and the reconciler records that.
async fn record(context: &WorkerContext, run: &ClaimedRun, attempt: &Attempt, elapsed: Duration) {
    let is_first_rejection = OnceCell::new();
    let mut is_logged = false;
    let recorded = loop {
        match try_record(context, run, attempt, &is_first_rejection).await {
            Err(error) if error.is_transient() || error.is_read_only() => {
                if !context.database.record_failure(&error) && !std::mem::replace(&mut is_logged, true) {
                    tracing::warn!(error = %error, "attempt.record_retried");
                }
                context.database.writable().await;
                tokio::time::sleep(RECORD_PAUSE).await;
            }
            recorded => break recorded,
        }
    };
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let messages = attempt.messages;
    match (recorded, &attempt.outcome) {
        (
            Ok(status),
            AttemptOutcome::Failed(failure)
            | AttemptOutcome::HandedBack(Some(failure))
            | AttemptOutcome::ProofPending(failure),
        ) => {
            tracing::warn!(
                duration_ms,
                messages,
                %status,
                error.kind = failure.kind.code(),
                error.detail = failure.detail,
                exit_code = attempt.report.exit_code,
                "attempt.failed"
            );
        }
        (Ok(status), _) => tracing::info!(duration_ms, messages, %status, "attempt.ended"),
        (Err(StoreError::Lost), _) => tracing::warn!(duration_ms, "attempt.lost"),
        (Err(error), outcome) => {
            tracing::error!(duration_ms, ?outcome, error = %error, "attempt.unrecorded");
        }
    }
}

/// `is_first_rejection`: whether this attempt was the first to report that Discord rejects the token, once known.
async fn try_record(
    context: &WorkerContext,
    run: &ClaimedRun,
    attempt: &Attempt,
    is_first_rejection: &OnceCell<bool>,
) -> Result<RunStatus, StoreError> {
    let (pool, fence, limit) = (&context.control, &run.fence, context.settings.limit);
    let report = &attempt.report;
    match &attempt.outcome {
        AttemptOutcome::Completed(completion) => {
            transitions::complete(pool, fence, completion, report, limit).await
        }
        AttemptOutcome::ProofPending(failure) => {
            transitions::wait_for_proof(pool, fence, failure, report, limit).await
        }
        AttemptOutcome::Failed(failure) => {
            // The first run fails, so that the client learns of it. The others wait for a valid token, probes too.
            if failure.kind == FailureKind::InvalidToken
                && (!*is_first_rejection.get_or_try_init(|| context.breaker.reject(pool)).await?
                    || attempt.was_probe)
            {
                return transitions::hand_back_with_reason(pool, fence, failure, report, limit).await;
            }
            transitions::fail(pool, fence, failure, (context.jitter)(), report, limit).await
        }
        AttemptOutcome::HandedBack(None) => transitions::hand_back(pool, fence, report, limit).await,
        AttemptOutcome::HandedBack(Some(reason)) => {
            transitions::hand_back_with_reason(pool, fence, reason, report, limit).await
        }
        AttemptOutcome::Lost => Err(StoreError::Lost),
    }
}

fn work_dir_failure(error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => FailureKind::DiskFull,
        _ => FailureKind::WorkerError,
    };
    Failure::new(kind).with_detail(format!("WORK_DIR: {error}"))
}
