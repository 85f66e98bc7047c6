//! The story of a run at this worker: hold its lease, try, record how that ended.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::store::StoreError;
use dce_core::store::ends;
use dce_core::store::runs::ClaimedRun;
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::attempt::{Attempt, attempt};
use crate::breaker::Permission;
use crate::outcome::Outcome;
use crate::shared::Shared;

/// Pause before the end of an attempt is recorded again.
const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// Runs one claimed run to the end of this attempt. Whatever happens, the tables tell the truth afterwards: either the
/// end is recorded, or the lease expires and another worker goes on from the cursor. `permission`: whether this is a
/// trial of a token that Discord refused.
pub async fn run(shared: &Arc<Shared>, run: ClaimedRun, permission: Permission) {
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
            // The first one fails, so that somebody hears of it. Others wait for a token that works, trials too.
            if failure.kind == FailureKind::InvalidToken
                && (!*rejected_first.get_or_try_init(|| shared.breaker.reject(pool)).await?
                    || attempt.was_trial)
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
