//! Retry of an export by a client.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::admission::admit;
use super::control_outcome::{ControlOutcome, lock_export, nothing_to_do};
use super::settle_export::settle_export;
use crate::export::admission::AdmissionLimit;
use crate::store::{StoreError, repeated};

/// Makes failed and cancelled runs pending again, to resume from their cursor, and withdraws an outstanding cancel; also
/// while other runs go on. Refused if there is neither, and for imports.
pub async fn retry(pool: &PgPool, job_id: Uuid, limit: AdmissionLimit) -> Result<ControlOutcome, StoreError> {
    let may_have_committed = &AtomicBool::new(false);
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let Some(export) = lock_export(&mut tx, job_id).await? else { return Ok(ControlOutcome::NotFound) };
        if is_import(&mut tx, job_id).await? {
            return Ok(ControlOutcome::IsImport);
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
            return Ok(nothing_to_do(export.status, may_have_committed));
        }
        sqlx::query!("UPDATE exports SET cancel_requested_at = NULL WHERE job_id = $1", job_id).execute(&mut *tx).await?;
        let now = settle_export(&mut tx, job_id).await?;
        admit(&mut tx, limit).await?;
        may_have_committed.store(true, Ordering::Relaxed);
        tx.commit().await?;
        Ok(ControlOutcome::Now(now))
    })
    .await
}

/// Whether the export is an import. All its runs have one kind, and kinds never change.
async fn is_import(connection: &mut PgConnection, job_id: Uuid) -> Result<bool, StoreError> {
    let is_import = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM export_channels WHERE job_id = $1 AND kind = 'import') AS "import!""#,
        job_id
    )
    .fetch_one(connection)
    .await?;
    Ok(is_import)
}
