//! What keeps the tables true when workers die: rescues expired leases, renews lost tasks, admits.
//! Every worker does so once a second; all of it is idempotent.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::ends::{AttemptReport, Ending, HeldRun, leave_running};
use super::exports::{lock_of, settle};
use super::{StoreError, admission, backends};
use crate::export::admission::{AdmissionLimit, LEASE};
use crate::export::failure::{Failure, FailureKind};
use crate::export::state::{End, RunStatus};
use crate::queue::{self, NewTask};

/// An attempt whose lease is over, with the sessions that may still write for it.
#[derive(Debug, Clone)]
pub struct Expired {
    /// The run.
    pub run_id: Uuid,
    /// The attempt that held the lease.
    pub attempt: i32,
    /// As noted by the attempt.
    pub backends: serde_json::Value,
}

/// Attempts that were not heard of for a lease. Locks nothing.
pub async fn expired(pool: &PgPool) -> Result<Vec<Expired>, StoreError> {
    let rows = sqlx::query_as!(
        Expired,
        "SELECT id AS run_id, attempt, ingest_backends AS backends FROM export_channels
          WHERE status = 'running' AND lease_expires_at < clock_timestamp() ORDER BY lease_expires_at"
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Ends the sessions of an expired attempt and waits up to a second for their end, before anything is locked:
/// a paused worker's open COPY would block its successor, and no timeout ends it. Returns how many were ended.
pub async fn terminate_backends(pool: &PgPool, expired: &Expired) -> Result<i64, StoreError> {
    let mut connection = pool.acquire().await?;
    backends::end(&mut connection, &expired.backends).await
}

/// Whether the server started less than a lease ago: then leases ran out while nobody could renew them.
pub async fn has_just_started(pool: &PgPool) -> Result<bool, StoreError> {
    let recent = sqlx::query_scalar!(
        r#"SELECT clock_timestamp() < pg_postmaster_start_time() + make_interval(secs => $1) AS "recent!""#,
        LEASE.as_secs_f64()
    )
    .fetch_one(pool)
    .await?;
    Ok(recent)
}

/// Takes the run from its dead owner, in a transaction of its own; due at once, but for an import, which nobody else can
/// go on with. `None`: not now, or not any more.
/// Only if the noted sessions are still those that were ended: one noted since then is not.
pub async fn rescue(pool: &PgPool, expired: &Expired) -> Result<Option<RunStatus>, StoreError> {
    let mut tx = pool.begin().await?;
    let Some(export) = lock_of(&mut tx, expired.run_id).await? else { return Ok(None) };
    // The exports row is waited for, because nothing is held yet; the run is not.
    let held = sqlx::query_as!(
        HeldRun,
        r#"SELECT r.attempt, r.failures, r.max_attempts,
                  r.cursor_message_id IS DISTINCT FROM a.cursor_before AS "progressed!",
                  r.kind = 'import' AS "is_import!"
             FROM export_channels r JOIN export_attempts a ON a.run_id = r.id AND a.attempt = r.attempt
            WHERE r.id = $1 AND r.attempt = $2 AND r.status = 'running' AND r.lease_expires_at < clock_timestamp()
              AND r.ingest_backends = $3
              FOR NO KEY UPDATE OF r SKIP LOCKED"#,
        expired.run_id,
        expired.attempt,
        expired.backends,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(held) = held else { return Ok(None) };
    let failure =
        Failure::new(if held.is_import { FailureKind::ImportInterrupted } else { FailureKind::LeaseExpired });
    let report = AttemptReport::default();
    let ending = Ending { end: End::LeaseExpired, failure: Some(&failure), jitter: 0.0, report: &report };
    let status = leave_running(&mut tx, expired.run_id, &held, export, &ending).await?;
    settle(&mut tx, export.job_id).await?;
    tx.commit().await?;
    Ok(Some(status))
}

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Admitted runs that got a new task because theirs was lost.
    pub renewed: usize,
    /// Runs admitted.
    pub admitted: usize,
}

/// Renews the tasks of admitted runs whose task will not come to a claim any more, then admits; under the admission
/// lock, so that two reconcilers do not push twice. Whoever comes late with an old task is refused at the claim.
pub async fn reconcile(pool: &PgPool, limit: AdmissionLimit) -> Result<Reconciled, StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('dce.admission'))").execute(&mut *tx).await?;
    let admitted =
        sqlx::query_scalar!(r#"SELECT task_id AS "task_id!" FROM export_channels WHERE task_id IS NOT NULL"#)
            .fetch_all(&mut *tx)
            .await?;
    let mut renewed = Vec::new();
    if !admitted.is_empty() {
        for dead in queue::not_live(&mut tx, &admitted, LEASE).await? {
            // The lock's holder waits for no row: one in other hands is looked at in the next tick.
            let task_id = queue::new_task_id();
            let run = sqlx::query!(
                r#"UPDATE export_channels SET task_id = $2
                    WHERE id = (SELECT r.id FROM export_channels r WHERE r.task_id = $1 FOR NO KEY UPDATE SKIP LOCKED)
                   RETURNING id, 2147483647 - nextval('admission_order')::int AS "priority!""#,
                dead,
                task_id,
            )
            .fetch_optional(&mut *tx)
            .await?;
            renewed.extend(run.map(|run| NewTask { id: task_id, run_id: run.id, priority: run.priority }));
        }
        queue::push(&mut tx, &renewed).await?;
    }
    let admitted = admission::admit(&mut tx, limit).await?;
    tx.commit().await?;
    Ok(Reconciled { renewed: renewed.len(), admitted })
}
