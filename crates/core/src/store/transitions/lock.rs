//! Row locks that transitions begin with: the export first, then its run.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::fence::Fence;
use crate::store::StoreError;

/// Locks the export of a run: the first statement of each transition. `None`: there is no such run.
pub(super) async fn lock_export_of(
    connection: &mut PgConnection,
    run_id: Uuid,
) -> Result<Option<LockedExport>, StoreError> {
    // job_id never changes: reading it needs no lock.
    let row = sqlx::query_as!(
        LockedExport,
        r#"SELECT e.job_id, e.cancel_requested_at IS NOT NULL AS "cancel_requested!" FROM exports e
            WHERE e.job_id = (SELECT r.job_id FROM export_channels r WHERE r.id = $1) FOR NO KEY UPDATE"#,
        run_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// An exports row that this transaction has locked.
#[derive(Debug, Clone, Copy)]
pub(super) struct LockedExport {
    pub(super) job_id: Uuid,
    pub(super) cancel_requested: bool,
}

/// A running run that this transaction has locked, with the facts that decide about its end.
pub(super) struct LockedRun {
    pub(super) attempt: i32,
    pub(super) failures: i32,
    pub(super) max_attempts: i32,
    pub(super) cursor: Option<String>,
    /// The cursor with which the attempt began.
    pub(super) cursor_before: Option<String>,
    /// Seconds since DCE was through; `None`: the run must be read on.
    pub(super) through_seconds: Option<f64>,
    pub(super) is_import: bool,
}

impl LockedRun {
    /// Whether the attempt has moved the cursor.
    pub(super) fn progressed(&self) -> bool {
        self.cursor != self.cursor_before
    }

    /// Time since DCE was through.
    pub(super) fn waited(&self) -> Duration {
        self.through_seconds.map_or(Duration::ZERO, duration)
    }
}

/// A duration in the database's seconds: negative after its clock was set back.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Locks a run if the fence holds.
pub(super) async fn lock_fenced(
    connection: &mut PgConnection,
    fence: &Fence,
) -> Result<Option<LockedRun>, StoreError> {
    let run = sqlx::query_as!(
        LockedRun,
        r#"SELECT r.attempt, r.failures, r.max_attempts, r.cursor_message_id AS cursor, a.cursor_before,
                  extract(epoch FROM clock_timestamp() - r.through_at)::float8 AS through_seconds,
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
    Ok(run)
}
