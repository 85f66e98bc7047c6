//! Repair of lost tasks, and admission. Every worker reconciles once a second; it is idempotent.

use sqlx::postgres::PgPool;

use super::admission::admit;
use crate::export::admission::{AdmissionLimit, LEASE};
use crate::queue::{self, NewTask};
use crate::store::StoreError;

/// The work that a reconciliation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Admitted runs that got a new task because theirs was lost.
    pub renewed: usize,
    pub admitted: usize,
}

/// Gives a new task to each admitted run whose task can no longer be claimed, then admits runs; under the admission lock,
/// so that two reconcilers do not push twice. A worker that arrives late with the old task is refused at the claim.
pub async fn reconcile(pool: &PgPool, limit: AdmissionLimit) -> Result<Reconciled, StoreError> {
    let mut tx = pool.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('dce.admission'))").execute(&mut *tx).await?;
    let admitted =
        sqlx::query_scalar!(r#"SELECT task_id AS "task_id!" FROM export_channels WHERE task_id IS NOT NULL"#)
            .fetch_all(&mut *tx)
            .await?;
    let mut renewed = Vec::new();
    if !admitted.is_empty() {
        for dead in queue::dead_tasks(&mut tx, &admitted, LEASE).await? {
            // The holder of the admission lock waits for no row: a locked one gets its task at the next tick.
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
    let admitted = admit(&mut tx, limit).await?;
    tx.commit().await?;
    Ok(Reconciled { renewed: renewed.len(), admitted })
}
