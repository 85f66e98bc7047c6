//! What a client may ask of an export after its creation: cancel, retry. What is so already is done, not refused.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, admission, exports::settle, imports, repeated};
use crate::export::admission::AdmissionLimit;
use crate::export::state::ExportStatus;

/// Where a new cancel of an export that is going on is announced, with its `job_id`, so that its workers need not wait
/// for their next heartbeat. A worker that misses it learns of the cancel there.
pub const CANCEL_CHANNEL: &str = "dce_cancel";

/// What came of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controlled {
    /// Done, or so already; this is the export's status now.
    Now(ExportStatus),
    /// There is no such export.
    Unknown,
    /// It makes no sense in this state: a cancel of what has completed or failed, a retry of what has completed or goes
    /// on without a failure.
    Refused(ExportStatus),
    /// A retry of an import: only whoever has the files can repeat it.
    IsImport,
}

/// Ends waiting and admitted runs, and tells the workers of running ones to stop DCE and hand back, which ends these.
/// Refused when the export has completed or failed. A second cancel changes nothing.
pub async fn cancel(pool: &PgPool, job_id: Uuid, limit: AdmissionLimit) -> Result<Controlled, StoreError> {
    let answer_may_be_lost = &AtomicBool::new(false);
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let Some(export) = lock(&mut tx, job_id).await? else { return Ok(Controlled::Unknown) };
        match export.status {
            ExportStatus::Completed | ExportStatus::Failed => {
                return Ok(refused(export.status, answer_may_be_lost));
            }
            ExportStatus::Pending | ExportStatus::Running if !export.cancel_requested => {}
            asked_for_already => return Ok(Controlled::Now(asked_for_already)),
        }
        sqlx::query!("UPDATE exports SET cancel_requested_at = clock_timestamp() WHERE job_id = $1", job_id)
            .execute(&mut *tx)
            .await?;
        // Touches no running run and no task: a task without its run is acknowledged at its claim.
        sqlx::query!(
            "UPDATE export_channels SET status = 'cancelled', finished_at = clock_timestamp(), task_id = NULL
              WHERE job_id = $1 AND status = 'pending'",
            job_id
        )
        .execute(&mut *tx)
        .await?;
        let now = settle(&mut tx, job_id).await?;
        if !now.is_final() {
            announce(&mut tx, job_id).await?;
        }
        admission::admit(&mut tx, limit).await?; // the admitted ones among them gave their places back
        answer_may_be_lost.store(true, Ordering::Relaxed);
        tx.commit().await?;
        Ok(Controlled::Now(now))
    })
    .await
}

/// Starts failed and cancelled runs again from their cursor and withdraws an outstanding cancel, also while other runs
/// go on. Refused when there is neither, and for imports.
pub async fn retry(pool: &PgPool, job_id: Uuid, limit: AdmissionLimit) -> Result<Controlled, StoreError> {
    let answer_may_be_lost = &AtomicBool::new(false);
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let Some(export) = lock(&mut tx, job_id).await? else { return Ok(Controlled::Unknown) };
        if imports::is_import(&mut tx, job_id).await? {
            return Ok(Controlled::IsImport);
        }
        let revived = sqlx::query!(
            "UPDATE export_channels SET status = 'pending', failures = 0, run_at = clock_timestamp(), finished_at = NULL, error = NULL
              WHERE job_id = $1 AND status IN ('failed', 'cancelled')",
            job_id
        )
        .execute(&mut *tx)
        .await?;
        let cancelling = export.cancel_requested && !export.status.is_final();
        if revived.rows_affected() == 0 && !cancelling {
            return Ok(refused(export.status, answer_may_be_lost));
        }
        sqlx::query!("UPDATE exports SET cancel_requested_at = NULL WHERE job_id = $1", job_id).execute(&mut *tx).await?;
        let now = settle(&mut tx, job_id).await?;
        admission::admit(&mut tx, limit).await?;
        answer_may_be_lost.store(true, Ordering::Relaxed);
        tx.commit().await?;
        Ok(Controlled::Now(now))
    })
    .await
}

/// What the decisions depend on.
struct LockedExport {
    status: ExportStatus,
    cancel_requested: bool,
}

async fn lock(connection: &mut PgConnection, job_id: Uuid) -> Result<Option<LockedExport>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT status, cancel_requested_at IS NOT NULL AS "cancel_requested!"
             FROM exports WHERE job_id = $1 FOR NO KEY UPDATE"#,
        job_id
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let status = ExportStatus::parse(&row.status)
        .ok_or(StoreError::Unexpected { statement: "read status", touched: 1 })?;
    Ok(Some(LockedExport { status, cancel_requested: row.cancel_requested }))
}

/// Tells the workers at COMMIT.
async fn announce(connection: &mut PgConnection, job_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_notify($1, $2)", CANCEL_CHANNEL, job_id.to_string()).execute(connection).await?;
    Ok(())
}

/// A repetition that finds nothing to do may have done it itself: then only the answer was lost.
fn refused(status: ExportStatus, answer_may_be_lost: &AtomicBool) -> Controlled {
    if answer_may_be_lost.load(Ordering::Relaxed) {
        Controlled::Now(status)
    } else {
        Controlled::Refused(status)
    }
}
