//! What a client may ask of an export after its creation: cancel, retry.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::{StoreError, admission, exports::settle, repeated};
use crate::export::admission::AdmissionLimit;
use crate::export::state::ExportStatus;

/// What came of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controlled {
    /// Done; this is the export's status now.
    Now(ExportStatus),
    /// There is no such export.
    Unknown,
    /// It makes no sense in this state.
    Refused(ExportStatus),
}

/// Ends waiting and admitted runs; running ones end when their worker has stopped DCE, which its next heartbeat tells.
/// Refused when the export has ended. A second cancel changes nothing.
pub async fn cancel(pool: &PgPool, job_id: Uuid, limit: AdmissionLimit) -> Result<Controlled, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let Some(export) = sqlx::query!(
            "SELECT status, finished_at IS NOT NULL AS \"ended!\" FROM exports WHERE job_id = $1 FOR NO KEY UPDATE",
            job_id
        )
        .fetch_optional(&mut *tx)
        .await?
        else {
            return Ok(Controlled::Unknown);
        };
        if export.ended {
            return status(&export.status).map(Controlled::Refused);
        }
        let asked = sqlx::query!(
            "UPDATE exports SET cancel_requested_at = clock_timestamp() WHERE job_id = $1 AND cancel_requested_at IS NULL",
            job_id
        )
        .execute(&mut *tx)
        .await?;
        if asked.rows_affected() == 0 {
            return status(&export.status).map(Controlled::Now); // asked for already
        }
        // Touches no running run and no task: a task without its run is acknowledged at its claim.
        sqlx::query!(
            "UPDATE export_channels SET status = 'cancelled', finished_at = clock_timestamp(), task_id = NULL
              WHERE job_id = $1 AND status = 'pending'",
            job_id
        )
        .execute(&mut *tx)
        .await?;
        let now = settle(&mut tx, job_id).await?;
        admission::admit(&mut tx, limit).await?; // the admitted ones among them gave their places back
        tx.commit().await?;
        Ok(Controlled::Now(now))
    })
    .await
}

/// Starts failed and cancelled runs again from their cursor and withdraws an outstanding cancel, also while other runs
/// go on. Refused when there is neither.
pub async fn retry(pool: &PgPool, job_id: Uuid, limit: AdmissionLimit) -> Result<Controlled, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let Some(export) = sqlx::query!(
            "SELECT status, cancel_requested_at IS NOT NULL AND finished_at IS NULL AS \"cancelling!\"
               FROM exports WHERE job_id = $1 FOR NO KEY UPDATE",
            job_id
        )
        .fetch_optional(&mut *tx)
        .await?
        else {
            return Ok(Controlled::Unknown);
        };
        let revived = sqlx::query!(
            "UPDATE export_channels SET status = 'pending', failures = 0, run_at = clock_timestamp(), finished_at = NULL, error = NULL
              WHERE job_id = $1 AND status IN ('failed', 'cancelled')",
            job_id
        )
        .execute(&mut *tx)
        .await?;
        if revived.rows_affected() == 0 && !export.cancelling {
            return status(&export.status).map(Controlled::Refused);
        }
        sqlx::query!("UPDATE exports SET cancel_requested_at = NULL WHERE job_id = $1", job_id).execute(&mut *tx).await?;
        let now = settle(&mut tx, job_id).await?;
        admission::admit(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(Controlled::Now(now))
    })
    .await
}

fn status(stored: &str) -> Result<ExportStatus, StoreError> {
    ExportStatus::parse(stored).ok_or(StoreError::Unexpected { statement: "read status", touched: 1 })
}
