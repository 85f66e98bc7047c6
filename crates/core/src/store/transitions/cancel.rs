//! Cancellation of an export by a client.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::admission::admit;
use super::control_outcome::{ControlOutcome, lock_export, nothing_to_do};
use super::settle_export::settle_export;
use crate::export::admission::AdmissionLimit;
use crate::export::state::ExportStatus;
use crate::store::{StoreError, repeated};

/// NOTIFY channel that announces a new cancel of a running export by its `job_id`, so that its workers need not wait for
/// their next heartbeat. A worker that misses the notification learns of the cancel from the heartbeat.
pub const CANCEL_CHANNEL: &str = "dce_cancel";

/// Cancels pending runs at once. Notifies the workers of running ones, which stop DCE and hand the run back: that cancels
/// these. Refused if the export has completed or failed. A second cancel changes nothing.
pub async fn cancel(
    pool: &PgPool,
    job_id: Uuid,
    limit: AdmissionLimit,
) -> Result<ControlOutcome, StoreError> {
    let may_have_committed = &AtomicBool::new(false);
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let Some(export) = lock_export(&mut tx, job_id).await? else { return Ok(ControlOutcome::NotFound) };
        match export.status {
            ExportStatus::Completed | ExportStatus::Failed => {
                return Ok(nothing_to_do(export.status, may_have_committed));
            }
            ExportStatus::Pending | ExportStatus::Running if !export.cancel_requested => {}
            cancelling_or_cancelled => return Ok(ControlOutcome::Now(cancelling_or_cancelled)),
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
        let now = settle_export(&mut tx, job_id).await?;
        if !now.is_final() {
            notify_workers(&mut tx, job_id).await?;
        }
        admit(&mut tx, limit).await?; // the cancelled runs may have been admitted: their places are free
        may_have_committed.store(true, Ordering::Relaxed);
        tx.commit().await?;
        Ok(ControlOutcome::Now(now))
    })
    .await
}

/// Notifies the workers at COMMIT.
async fn notify_workers(connection: &mut PgConnection, job_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_notify($1, $2)", CANCEL_CHANNEL, job_id.to_string()).execute(connection).await?;
    Ok(())
}
