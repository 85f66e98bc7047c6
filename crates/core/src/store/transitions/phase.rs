//! What the worker of a running run is doing, for clients.

use sqlx::postgres::PgPool;

use super::fence::Fence;
use super::lock::lock_export_of;
use crate::export::phase::Phase;
use crate::store::{StoreError, exactly_one, repeated};

/// Shows clients the phase of a running run.
pub async fn set_phase(pool: &PgPool, fence: &Fence, phase: Phase) -> Result<(), StoreError> {
    enter(pool, fence, phase, false).await
}

/// Forgets that an earlier attempt was through, because Discord has more: before DCE starts, so that the next attempt
/// reads on if this one ends early.
pub async fn begin_reading(pool: &PgPool, fence: &Fence) -> Result<(), StoreError> {
    enter(pool, fence, Phase::Reading, true).await
}

async fn enter(pool: &PgPool, fence: &Fence, phase: Phase, reads_on: bool) -> Result<(), StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let export = lock_export_of(&mut tx, fence.run_id).await?.ok_or(StoreError::Lost)?;
        let is_new = sqlx::query_scalar!(
            r#"UPDATE export_channels r
                  SET phase = $4, through_at = CASE WHEN $5 THEN NULL ELSE r.through_at END
                 FROM (SELECT b.id, b.phase FROM export_channels b WHERE b.id = $1 FOR NO KEY UPDATE) before
                WHERE r.id = before.id AND r.attempt = $2 AND r.lease_owner = $3 AND r.status = 'running'
               RETURNING before.phase IS DISTINCT FROM $4 AS "is_new!""#,
            fence.run_id,
            fence.attempt,
            fence.worker,
            phase.as_str(),
            reads_on,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(StoreError::Lost)?;
        if is_new {
            let raised =
                sqlx::query!("UPDATE exports SET version = version + 1 WHERE job_id = $1", export.job_id)
                    .execute(&mut *tx)
                    .await?;
            exactly_one("raise version", raised.rows_affected())?;
        }
        tx.commit().await?;
        Ok(())
    })
    .await
}
