//! The end of an attempt: completed, failed, handed back. [`crate::export::state`] decides the run's next status.

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::admission::admit;
use super::attempt_report::{AttemptReport, Reread};
use super::channel_coverage::extend_coverage;
use super::checkpoint::checkpoint;
use super::completion::{Completion, record_verification};
use super::ending::{Ending, Precedents};
use super::fence::Fence;
use super::lock::{LockedExport, LockedRun, lock_export_of, lock_fenced};
use super::settle_export::settle_export;
use crate::export::admission::AdmissionLimit;
use crate::export::failure::{Failure, FailureKind};
use crate::export::state::{Run, RunEvent, RunStatus};
use crate::store::{StoreError, exactly_one, repeated};

/// Completes a run: DCE ended in order and all its output is committed. Takes precedence over a cancel.
pub async fn complete(
    pool: &PgPool,
    fence: &Fence,
    completion: &Completion,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    finish_attempt(pool, fence, Ending::Completed(completion), report, Some(limit)).await
}

/// Ends an attempt that failed. `jitter` (0 to 1) spreads the next attempt. A cancel takes precedence. A retryable failure
/// is final if the budget is spent, or if the last attempt was short of the same messages.
pub async fn fail(
    pool: &PgPool,
    fence: &Fence,
    failure: &Failure,
    jitter: f64,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    finish_attempt(pool, fence, Ending::Failed { failure, jitter }, report, Some(limit)).await
}

/// Hands back a run whose DCE was stopped in order, by a soft stop or for a cancel. The run is cancelled if the cancel is
/// still requested; otherwise, or if a retry has withdrawn it, the run is pending and due now.
pub async fn hand_back(
    pool: &PgPool,
    fence: &Fence,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    finish_attempt(pool, fence, Ending::HandedBack { reason: None }, report, Some(limit)).await
}

/// Hands back a run that the worker cannot continue, for a reason that is not the run's own: the run's budget is not
/// charged, and clients see the reason.
pub async fn hand_back_with_reason(
    pool: &PgPool,
    fence: &Fence,
    reason: &Failure,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    finish_attempt(pool, fence, Ending::HandedBack { reason: Some(reason) }, report, Some(limit)).await
}

/// Ends an attempt that read everything, but got no answer from Discord whether there is more: the next attempt asks
/// again, after a pause. Costs nothing within [`PROOF_GRACE`](crate::export::retry::PROOF_GRACE) after DCE was through, and
/// is a failure after it. A cancel takes precedence.
pub async fn wait_for_proof(
    pool: &PgPool,
    fence: &Fence,
    reason: &Failure,
    report: &AttemptReport,
    limit: AdmissionLimit,
) -> Result<RunStatus, StoreError> {
    finish_attempt(pool, fence, Ending::Unproven { reason }, report, Some(limit)).await
}

/// Ends an attempt. `limit`: of the admission that follows, because a place is free now; `None`: the run took no place.
pub(crate) async fn finish_attempt(
    pool: &PgPool,
    fence: &Fence,
    ending: Ending<'_>,
    report: &AttemptReport,
    limit: Option<AdmissionLimit>,
) -> Result<RunStatus, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let export = lock_export_of(&mut tx, fence.run_id).await?.ok_or(StoreError::Lost)?;
        let Some(mut run) = lock_fenced(&mut tx, fence).await? else {
            return already_ended(&mut tx, fence, ending).await;
        };
        if let Ending::Completed(Completion { last: Some(last), .. }) = ending {
            checkpoint(&mut tx, fence, last).await?;
            run.cursor = last.cursor.map(|id| id.to_string());
        }
        let status = leave_running(&mut tx, fence.run_id, &run, export, ending, report).await?;
        if let Ending::Completed(completion) = ending {
            record_verification(&mut tx, fence.run_id, completion).await?;
            extend_coverage(&mut tx, fence.run_id).await?;
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

/// The result of an earlier try of this transaction whose answer was lost; without one, the run is lost.
async fn already_ended(
    connection: &mut PgConnection,
    fence: &Fence,
    ending: Ending<'_>,
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
    if row.outcome.as_deref().is_some_and(|outcome| ending.may_be(outcome)) {
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
    ending: Ending<'_>,
    report: &AttemptReport,
) -> Result<RunStatus, StoreError> {
    let run = Run {
        status: RunStatus::Running,
        attempt: locked.attempt.unsigned_abs(),
        failures: locked.failures.unsigned_abs(),
        max_attempts: locked.max_attempts.unsigned_abs(),
        admitted: false,
    };
    let precedents = precedents(connection, run_id, locked, ending).await?;
    let end = ending.attempt_end(locked, precedents);
    let event = RunEvent::End { end, progressed: locked.progressed() };
    let next = run.after(event, export.cancel_requested).ok_or(StoreError::Lost)?;
    let is_through = report.through || matches!(ending, Ending::Unproven { .. });
    let (changes_reread, reread_from) = match report.reread {
        Reread::Unchanged => (false, None),
        Reread::Nothing => (true, None),
        Reread::From(id) => (true, Some(id.to_string())),
    };
    let left = sqlx::query!(
        "UPDATE export_channels
            SET status = $2, failures = $3, run_at = clock_timestamp() + make_interval(secs => $4), error = $5,
                phase = NULL, lease_owner = NULL, lease_expires_at = NULL, ingest_backends = '[]',
                finished_at = CASE WHEN $6 THEN clock_timestamp() END,
                through_at = CASE WHEN $7 THEN coalesce(through_at, clock_timestamp()) ELSE through_at END,
                upper_message_id = least(upper_message_id::numeric, $8::text::numeric)::text,
                reread_from = CASE WHEN $9 THEN $10 ELSE reread_from END,
                discord_requests = discord_requests + $11
          WHERE id = $1",
        run_id,
        next.status.as_str(),
        i32::try_from(next.failures).unwrap_or(i32::MAX),
        ending.delay(next.failures, precedents).as_secs_f64(),
        ending.error(locked.is_import),
        next.status.is_final(),
        is_through,
        report.upper.map(|id| id.to_string()),
        changes_reread,
        reread_from,
        report.discord_requests,
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("end run", left.rows_affected())?;
    let failure = ending.failure();
    let ended = sqlx::query!(
        "UPDATE export_attempts
            SET ended_at = clock_timestamp(), outcome = $3, error_kind = $4, error_message = $5,
                dce_version = $6, exit_code = $7, stderr_tail = $8
          WHERE run_id = $1 AND attempt = $2",
        run_id,
        locked.attempt,
        end.outcome(),
        failure.map(|failure| failure.kind.code()),
        failure.map(|failure| failure.detail.clone().unwrap_or_else(|| failure.kind.message().to_owned())),
        report.dce_version,
        report.exit_code,
        report.stderr_tail,
    )
    .execute(connection)
    .await?;
    exactly_one("end attempt", ended.rows_affected())?;
    Ok(next.status)
}

/// Reads what the history says about an end like this one.
async fn precedents(
    connection: &mut PgConnection,
    run_id: Uuid,
    run: &LockedRun,
    ending: Ending<'_>,
) -> Result<Precedents, StoreError> {
    let mut precedents = Precedents::default();
    match ending {
        // The budget is 0 after progress, and after a retry, which starts afresh.
        Ending::Failed { failure: Failure { kind: FailureKind::OutputShort, .. }, .. }
            if run.failures > 0 && !run.progressed() =>
        {
            // A hand-back between the two has read nothing to its end.
            let was_as_short = sqlx::query_scalar!(
                r#"SELECT p.error_kind IS NOT DISTINCT FROM 'output_short' AND p.cursor_before IS NOT DISTINCT FROM a.cursor_before
                          AND p.reread_from IS NOT DISTINCT FROM a.reread_from AS "was_as_short!"
                     FROM export_attempts a JOIN export_attempts p ON p.run_id = a.run_id AND p.attempt < a.attempt
                    WHERE a.run_id = $1 AND a.attempt = $2 AND p.outcome <> 'handed_back'
                    ORDER BY p.attempt DESC LIMIT 1"#,
                run_id,
                run.attempt,
            )
            .fetch_optional(connection)
            .await?;
            precedents.was_as_short = was_as_short.unwrap_or(false);
        }
        Ending::Unproven { .. } if run.through_seconds.is_some() => {
            let waits = sqlx::query_scalar!(
                r#"SELECT count(*) AS "waits!" FROM export_attempts a JOIN export_channels r ON r.id = a.run_id
                    WHERE r.id = $1 AND a.ended_at >= r.through_at"#,
                run_id
            )
            .fetch_one(connection)
            .await?;
            precedents.waits = u32::try_from(waits).unwrap_or(u32::MAX);
        }
        _ => {}
    }
    Ok(precedents)
}
