//! The end of an attempt: completed, failed, handed back. [`crate::export::state`] decides the run's next status.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::admission::admit;
use super::channel_coverage::extend_coverage;
use super::fence::Fence;
use super::lock::{LockedExport, LockedRun, lock_export_of, lock_fenced};
use super::settle_export::settle_export;
use crate::export::admission::AdmissionLimit;
use crate::export::failure::Failure;
use crate::export::retry::retry_delay;
use crate::export::state::{AttemptEnd, Run, RunEvent, RunStatus};
use crate::export::warnings::WarningKind;
use crate::store::{StoreError, exactly_one, repeated};

/// Facts about an attempt that the history keeps besides its outcome.
#[derive(Debug, Clone, Default)]
pub struct AttemptReport {
    pub dce_version: Option<String>,
    /// `None` if a signal ended DCE or it never ran.
    pub exit_code: Option<i32>,
    pub stderr_tail: Option<String>,
    /// Whether DCE reported that the channel or the range is empty.
    pub reported_empty: bool,
}

/// Completes a run: DCE ended in order and all its output is committed. Takes precedence over a cancel.
pub async fn complete(
    pool: &PgPool,
    fence: &Fence,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let finish = Finish { end: AttemptEnd::Completed, failure: None, jitter: 0.0, report };
    finish_attempt(pool, fence, &finish, Some(limit)).await
}

/// Ends an attempt that failed. `jitter` (0 to 1) spreads the next attempt. A cancel takes precedence.
pub async fn fail(
    pool: &PgPool,
    fence: &Fence,
    failure: &Failure,
    jitter: f64,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let end = AttemptEnd::Failed { retryable: failure.kind.is_retryable() };
    let finish = Finish { end, failure: Some(failure), jitter, report };
    finish_attempt(pool, fence, &finish, Some(limit)).await
}

/// Hands back a run whose DCE was stopped in order, by a soft stop or for a cancel. The run is cancelled if the cancel is
/// still requested; otherwise, or if a retry has withdrawn it, the run is pending and due now.
pub async fn hand_back(
    pool: &PgPool,
    fence: &Fence,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let finish = Finish { end: AttemptEnd::HandedBack, failure: None, jitter: 0.0, report };
    finish_attempt(pool, fence, &finish, Some(limit)).await
}

/// Delay before a run that was handed back with a reason may start again.
const HANDED_BACK_DELAY: Duration = Duration::from_secs(5);

/// Hands back a run that the worker cannot continue, for a reason that is not the run's own: the run's budget is not
/// charged, and clients see the reason.
pub async fn hand_back_with_reason(
    pool: &PgPool,
    fence: &Fence,
    reason: &Failure,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let finish = Finish { end: AttemptEnd::HandedBack, failure: Some(reason), jitter: 0.0, report };
    finish_attempt(pool, fence, &finish, Some(limit)).await
}

/// The end of an attempt, with all that is recorded about it.
pub(crate) struct Finish<'a> {
    pub(crate) end: AttemptEnd,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) jitter: f64,
    pub(crate) report: &'a AttemptReport,
}

/// Ends an attempt. `limit`: of the admission that follows, because a place is free now; `None`: the run took no place.
pub(crate) async fn finish_attempt(
    pool: &PgPool,
    fence: &Fence,
    finish: &Finish<'_>,
    limit: Option<AdmissionLimit>,
) -> Result<RunStatus, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let export = lock_export_of(&mut tx, fence.run_id).await?.ok_or(StoreError::Lost)?;
        let Some(run) = lock_fenced(&mut tx, fence).await? else {
            return already_ended(&mut tx, fence, finish.end).await;
        };
        let status = leave_running(&mut tx, fence.run_id, &run, export, finish).await?;
        if status == RunStatus::Completed {
            extend_coverage(&mut tx, fence.run_id).await?;
            if !finish.report.reported_empty {
                warn_if_empty(&mut tx, fence.run_id).await?;
            }
        }
        settle_export(&mut tx, export.job_id).await?;
        if let Some(limit) = limit {
            admit(&mut tx, limit).await?;
        }
        tx.commit().await?;
        Ok(status)
    })
    .await
}

/// Warns of an unfiltered run that brought no message in any attempt. Neither DCE nor Discord reports an error then: a
/// bot without Read Message History gets an empty list.
async fn warn_if_empty(connection: &mut PgConnection, run_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE export_channels r SET warnings = r.warnings || $2::jsonb FROM exports e
          WHERE r.id = $1 AND r.kind = 'channel' AND r.message_count = 0
            AND e.job_id = r.job_id AND e.options ->> 'filter' IS NULL",
        run_id,
        WarningKind::EmptyWithoutReason.to_json(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The result of an earlier try of this transaction whose answer was lost; without one, the run is lost.
async fn already_ended(
    connection: &mut PgConnection,
    fence: &Fence,
    end: AttemptEnd,
) -> Result<RunStatus, StoreError> {
    let row = sqlx::query!(
        "SELECT a.outcome, r.status, r.attempt FROM export_attempts a JOIN export_channels r ON r.id = a.run_id
          WHERE a.run_id = $1 AND a.attempt = $2 AND a.worker = $3",
        fence.run_id,
        fence.attempt,
        fence.worker
    )
    .fetch_optional(connection)
    .await?
    .ok_or(StoreError::Lost)?;
    if row.outcome.as_deref() == Some(end.outcome()) {
        RunStatus::parse(&row.status).ok_or(StoreError::Lost)
    } else {
        Err(StoreError::Lost)
    }
}

/// Moves a run out of `running`, in the run and in the history. The caller has locked export and run, then settles and
/// commits.
pub(super) async fn leave_running(
    connection: &mut PgConnection,
    run_id: Uuid,
    locked: &LockedRun,
    export: LockedExport,
    finish: &Finish<'_>,
) -> Result<RunStatus, StoreError> {
    let run = Run {
        status: RunStatus::Running,
        attempt: locked.attempt.unsigned_abs(),
        failures: locked.failures.unsigned_abs(),
        max_attempts: locked.max_attempts.unsigned_abs(),
        admitted: false,
    };
    let event = RunEvent::End { end: finish.end, progressed: locked.progressed };
    let next = run.after(event, export.cancel_requested).ok_or(StoreError::Lost)?;
    let delay = match (finish.end, finish.failure) {
        (AttemptEnd::Failed { .. }, Some(failure)) => {
            retry_delay(next.failures, failure.retry_after, finish.jitter)
        }
        // The reason may stop the next worker too: not again at once.
        (AttemptEnd::HandedBack, Some(_)) => HANDED_BACK_DELAY,
        _ => Duration::ZERO,
    };
    let to_json = match finish.end {
        _ if locked.is_import => Failure::to_import_json,
        AttemptEnd::HandedBack => Failure::to_waiting_json,
        _ => Failure::to_json,
    };
    let left = sqlx::query!(
        "UPDATE export_channels
            SET status = $2, failures = $3, run_at = clock_timestamp() + make_interval(secs => $4), error = $5,
                lease_owner = NULL, lease_expires_at = NULL, ingest_backends = '[]',
                finished_at = CASE WHEN $6 THEN clock_timestamp() END
          WHERE id = $1",
        run_id,
        next.status.as_str(),
        i32::try_from(next.failures).unwrap_or(i32::MAX),
        delay.as_secs_f64(),
        finish.failure.map(to_json),
        next.status.is_final(),
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("end run", left.rows_affected())?;
    let ended = sqlx::query!(
        "UPDATE export_attempts
            SET ended_at = clock_timestamp(), outcome = $3, error_kind = $4, error_message = $5,
                dce_version = $6, exit_code = $7, stderr_tail = $8
          WHERE run_id = $1 AND attempt = $2",
        run_id,
        locked.attempt,
        finish.end.outcome(),
        finish.failure.map(|failure| failure.kind.code()),
        finish
            .failure
            .map(|failure| failure.detail.clone().unwrap_or_else(|| failure.kind.message().to_owned())),
        finish.report.dce_version,
        finish.report.exit_code,
        finish.report.stderr_tail,
    )
    .execute(connection)
    .await?;
    exactly_one("end attempt", ended.rows_affected())?;
    Ok(next.status)
}
