//! The end of an attempt, reported by its worker: completed, failed, handed back. What becomes of the run is
//! decided by [`crate::export::state`].

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::exports::{LockedExport, lock_of, settle};
use super::runs::Fence;
use super::{StoreError, admission, channels, exactly_one, repeated};
use crate::export::admission::AdmissionLimit;
use crate::export::failure::{Failure, retry_delay};
use crate::export::state::{End, Event, Run, RunStatus};
use crate::export::warnings::WarningKind;

/// What the history keeps of an attempt besides its outcome.
#[derive(Debug, Clone, Default)]
pub struct AttemptReport {
    /// Which DCE ran.
    pub dce_version: Option<String>,
    /// Its exit code; `None` where a signal ended it or it never ran.
    pub exit_code: Option<i32>,
    /// The end of what it said on stderr.
    pub stderr_tail: Option<String>,
    /// Whether DCE said that the channel or the range is empty.
    pub reported_empty: bool,
}

/// Everything DCE wrote is committed and DCE ended in order. Beats a cancel.
pub async fn complete(
    pool: &PgPool,
    fence: &Fence,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let ending = Ending { end: End::Completed, failure: None, jitter: 0.0, report };
    end_attempt(pool, fence, &ending, Some(limit)).await
}

/// The attempt failed. `jitter` (0 to 1) spreads the next try. A cancel beats every failure.
pub async fn fail(
    pool: &PgPool,
    fence: &Fence,
    failure: &Failure,
    jitter: f64,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let end = End::Failed { retryable: failure.kind.is_retryable() };
    let ending = Ending { end, failure: Some(failure), jitter, report };
    end_attempt(pool, fence, &ending, Some(limit)).await
}

/// DCE was stopped in order, by a soft stop or for a cancel. Still asked for: cancelled; not asked for, or withdrawn
/// by a retry meanwhile: pending, due now.
pub async fn hand_back(
    pool: &PgPool,
    fence: &Fence,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let ending = Ending { end: End::HandedBack, failure: None, jitter: 0.0, report };
    end_attempt(pool, fence, &ending, Some(limit)).await
}

/// Pause before a run that was handed back for a reason starts again.
const HANDED_BACK_DELAY: Duration = Duration::from_secs(5);

/// The worker could not go on, for a reason that is not the run's: it costs the run nothing, and the reason is shown.
pub async fn hand_back_because(
    pool: &PgPool,
    fence: &Fence,
    reason: &Failure,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    let ending = Ending { end: End::HandedBack, failure: Some(reason), jitter: 0.0, report };
    end_attempt(pool, fence, &ending, Some(limit)).await
}

pub(crate) struct Ending<'a> {
    pub(crate) end: End,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) jitter: f64,
    pub(crate) report: &'a AttemptReport,
}

/// `limit`: of the admission that follows, because a place is free now; `None`: the run took no place.
pub(crate) async fn end_attempt(
    pool: &PgPool,
    fence: &Fence,
    ending: &Ending<'_>,
    limit: Option<AdmissionLimit>,
) -> Result<RunStatus, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let export = lock_of(&mut tx, fence.run_id).await?.ok_or(StoreError::Lost)?;
        let Some(held) = lock_fenced(&mut tx, fence).await? else {
            return already_ended(&mut tx, fence, ending.end).await;
        };
        let status = leave_running(&mut tx, fence.run_id, &held, export, ending).await?;
        if status == RunStatus::Completed {
            channels::cover(&mut tx, fence.run_id).await?;
            if !ending.report.reported_empty {
                warn_if_empty(&mut tx, fence.run_id).await?;
            }
        }
        settle(&mut tx, export.job_id).await?;
        if let Some(limit) = limit {
            admission::admit(&mut tx, limit).await?;
        }
        tx.commit().await?;
        Ok(status)
    })
    .await
}

/// A channel that gave no message, over all attempts, although nothing was filtered. DCE and Discord see nothing wrong in
/// that: a bot without Read Message History is answered with an empty list.
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

/// A run that this transaction has locked, with what the decision needs.
pub(crate) struct HeldRun {
    pub(crate) attempt: i32,
    pub(crate) failures: i32,
    pub(crate) max_attempts: i32,
    pub(crate) progressed: bool,
    pub(crate) is_import: bool,
}

async fn lock_fenced(connection: &mut PgConnection, fence: &Fence) -> Result<Option<HeldRun>, StoreError> {
    let held = sqlx::query_as!(
        HeldRun,
        r#"SELECT r.attempt, r.failures, r.max_attempts,
                  r.cursor_message_id IS DISTINCT FROM a.cursor_before AS "progressed!",
                  r.kind = 'import' AS "is_import!"
             FROM export_channels r JOIN export_attempts a ON a.run_id = r.id AND a.attempt = r.attempt
            WHERE r.id = $1 AND r.attempt = $2 AND r.lease_owner = $3 AND r.status = 'running'
              FOR NO KEY UPDATE OF r"#,
        fence.run_id,
        fence.attempt,
        fence.worker
    )
    .fetch_optional(connection)
    .await?;
    Ok(held)
}

/// The fence does not hold: was it an earlier try of ours whose answer got lost?
async fn already_ended(
    connection: &mut PgConnection,
    fence: &Fence,
    end: End,
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

/// Out of `running`: run and history. The caller holds export and run, then settles and commits.
pub(crate) async fn leave_running(
    connection: &mut PgConnection,
    run_id: Uuid,
    held: &HeldRun,
    export: LockedExport,
    ending: &Ending<'_>,
) -> Result<RunStatus, StoreError> {
    let run = Run {
        status: RunStatus::Running,
        attempt: held.attempt.unsigned_abs(),
        failures: held.failures.unsigned_abs(),
        max_attempts: held.max_attempts.unsigned_abs(),
        admitted: false,
    };
    let event = Event::End { end: ending.end, progressed: held.progressed };
    let next = run.after(event, export.cancel_requested).ok_or(StoreError::Lost)?;
    let delay = match (ending.end, ending.failure) {
        (End::Failed { .. }, Some(failure)) => retry_delay(next.failures, failure.retry_after, ending.jitter),
        // Whatever kept the worker from going on may keep the next one: not again at once.
        (End::HandedBack, Some(_)) => HANDED_BACK_DELAY,
        _ => Duration::ZERO,
    };
    let words = match ending.end {
        _ if held.is_import => Failure::to_import_json,
        End::HandedBack => Failure::to_waiting_json,
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
        ending.failure.map(words),
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
        held.attempt,
        ending.end.outcome(),
        ending.failure.map(|failure| failure.kind.code()),
        ending
            .failure
            .map(|failure| failure.detail.clone().unwrap_or_else(|| failure.kind.message().to_owned())),
        ending.report.dce_version,
        ending.report.exit_code,
        ending.report.stderr_tail,
    )
    .execute(connection)
    .await?;
    exactly_one("end attempt", ended.rows_affected())?;
    Ok(next.status)
}
