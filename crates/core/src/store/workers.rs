//! Workers that have registered.

use std::time::Duration;

use sqlx::postgres::PgPool;

use super::{StoreError, exactly_one};
use crate::export::admission::LEASE;
use crate::export::failure::FailureKind;
use crate::queue;

/// A worker process.
#[derive(Debug, Clone)]
pub struct Worker {
    /// New at every process start.
    pub id: String,
    pub host: String,
    pub version: String,
    pub dce_version: String,
    /// Maximum number of concurrent runs.
    pub slots: u32,
}

/// Whether a worker claims runs. The slots of one that does not are not counted for admission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// It is shutting down.
    pub draining: bool,
    /// The reason why it starts no runs: [`FailureKind::InvalidToken`] or [`FailureKind::DiskFull`].
    pub problem: Option<FailureKind>,
}

/// Registers a worker or renews its registration, also after its row was pruned.
pub async fn register(pool: &PgPool, worker: &Worker, readiness: Readiness) -> Result<(), StoreError> {
    queue::register_worker(pool, &worker.id).await?;
    let written = sqlx::query!(
        "INSERT INTO workers (id, host, version, dce_version, slots, draining, problem) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE
            SET last_seen = clock_timestamp(), draining = excluded.draining, problem = excluded.problem",
        worker.id,
        worker.host,
        worker.version,
        worker.dce_version,
        i32::try_from(worker.slots).unwrap_or(i32::MAX),
        readiness.draining,
        readiness.problem.map(FailureKind::code),
    )
    .execute(pool)
    .await?;
    exactly_one("register worker", written.rows_affected())
}

/// Removes a worker that ends in order.
pub async fn deregister(pool: &PgPool, worker: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM workers WHERE id = $1", worker).execute(pool).await?;
    Ok(())
}

/// Workers whose last heartbeat is younger than a lease.
pub async fn live(pool: &PgPool) -> Result<Vec<Readiness>, StoreError> {
    let rows = sqlx::query!(
        "SELECT draining, problem FROM workers
          WHERE last_seen > clock_timestamp() - make_interval(secs => $1) ORDER BY id",
        LEASE.as_secs_f64()
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Readiness {
            draining: row.draining,
            problem: row.problem.as_deref().and_then(FailureKind::from_code),
        })
        .collect())
}

/// Deletes workers not seen for `age`, which is well above a lease; in the queue, once their last task is pruned. Returns
/// their number. Safe to run in several workers at once.
pub async fn prune(pool: &PgPool, age: Duration) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        "DELETE FROM workers WHERE id = ANY (ARRAY(
           SELECT id FROM workers WHERE last_seen < clock_timestamp() - make_interval(secs => $1)
              FOR UPDATE SKIP LOCKED))",
        age.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    queue::prune_workers(pool, age).await?;
    Ok(deleted.rows_affected())
}
