//! Admission: gives free places to pending runs. The last step of each transaction that may free a place.

use sqlx::postgres::PgConnection;

use crate::export::admission::{AdmissionLimit, LEASE};
use crate::queue::{self, NewTask};
use crate::store::StoreError;

/// Maximum number of runs admitted in one transaction; the reconciler's next tick continues.
const PICKS: usize = 64;

/// Takes the admission lock, picks runs, pushes their tasks. The caller commits next and waits for nothing in between.
/// Returns the number of runs admitted.
pub(super) async fn admit(connection: &mut PgConnection, limit: AdmissionLimit) -> Result<usize, StoreError> {
    let max = limit.max_parallel_runs.map(|max| i32::try_from(max).unwrap_or(i32::MAX));
    let task_ids: Vec<String> = (0..PICKS).map(|_| queue::new_task_id()).collect();
    let picked = sqlx::query!(
        r#"SELECT run_id AS "run_id!", task_id AS "task_id!", priority AS "priority!"
             FROM pick_admissible_runs($1, make_interval(secs => $2), $3)"#,
        max,
        LEASE.as_secs_f64(),
        &task_ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let tasks: Vec<NewTask> = picked
        .into_iter()
        .map(|run| NewTask { id: run.task_id, run_id: run.run_id, priority: run.priority })
        .collect();
    queue::push(connection, &tasks).await?;
    Ok(tasks.len())
}
