//! Rescue of runs whose lease has expired.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::attempt_report::AttemptReport;
use super::attempt_sessions;
use super::ending::Ending;
use super::finish::leave_running;
use super::lock::{LockedRun, lock_export_of};
use super::settle_export::settle_export;
use crate::export::admission::LEASE;
use crate::export::failure::{Failure, FailureKind};
use crate::export::state::RunStatus;
use crate::store::StoreError;

/// An attempt whose lease has expired, with the sessions that may still write for it.
#[derive(Debug, Clone)]
pub struct ExpiredLease {
    pub run_id: Uuid,
    /// The attempt that held the lease.
    pub attempt: i32,
    /// As recorded by the attempt.
    pub backends: serde_json::Value,
}

/// Lists the attempts whose lease has expired. Locks nothing.
pub async fn expired_leases(pool: &PgPool) -> Result<Vec<ExpiredLease>, StoreError> {
    let rows = sqlx::query_as!(
        ExpiredLease,
        "SELECT id AS run_id, attempt, ingest_backends AS backends FROM export_channels
          WHERE status = 'running' AND lease_expires_at < clock_timestamp() ORDER BY lease_expires_at"
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Terminates the sessions of an expired attempt and waits up to a second for their end, before anything is locked: a
/// paused worker's open COPY would block its successor, and no timeout ends it. Returns the number of sessions
/// terminated.
pub async fn terminate_backends(pool: &PgPool, expired: &ExpiredLease) -> Result<i64, StoreError> {
    let mut connection = pool.acquire().await?;
    attempt_sessions::terminate_sessions(&mut connection, &expired.backends).await
}

/// Whether the server started less than a lease ago: then leases have expired that nobody could renew.
pub async fn server_has_just_started(pool: &PgPool) -> Result<bool, StoreError> {
    let recent = sqlx::query_scalar!(
        r#"SELECT clock_timestamp() < pg_postmaster_start_time() + make_interval(secs => $1) AS "recent!""#,
        LEASE.as_secs_f64()
    )
    .fetch_one(pool)
    .await?;
    Ok(recent)
}

/// Takes the run from its dead owner, in a transaction of its own. The run is due at once; an import fails, because
/// nobody else has its files. `None`: the row is locked, or the lease is no longer expired. Only if the recorded sessions
/// are still those that were terminated: one recorded since then was not.
pub async fn rescue(pool: &PgPool, expired: &ExpiredLease) -> Result<Option<RunStatus>, StoreError> {
    let mut tx = pool.begin().await?;
    let Some(export) = lock_export_of(&mut tx, expired.run_id).await? else { return Ok(None) };
    // This waits for the exports row, because it holds no lock yet, but not for the run.
    let run = sqlx::query_as!(
        LockedRun,
        r#"SELECT r.attempt, r.failures, r.max_attempts, r.cursor_message_id AS cursor, a.cursor_before,
                  extract(epoch FROM clock_timestamp() - r.through_at)::float8 AS through_seconds,
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
    let Some(run) = run else { return Ok(None) };
    let failure =
        Failure::new(if run.is_import { FailureKind::ImportInterrupted } else { FailureKind::LeaseExpired });
    let ending = Ending::LeaseExpired(&failure);
    let status =
        leave_running(&mut tx, expired.run_id, &run, export, ending, &AttemptReport::default()).await?;
    settle_export(&mut tx, export.job_id).await?;
    tx.commit().await?;
    Ok(Some(status))
}
