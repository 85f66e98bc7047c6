//! Workers, as they announce themselves.

use sqlx::postgres::PgPool;

use super::{StoreError, exactly_one};
use crate::export::admission::LEASE;
use crate::queue;

/// A worker process.
#[derive(Debug, Clone)]
pub struct Worker {
    /// New at every process start.
    pub id: String,
    /// Where it runs.
    pub host: String,
    /// Of this program.
    pub version: String,
    /// Of its DCE.
    pub dce_version: String,
    /// Runs at a time.
    pub slots: u32,
}

/// Says that the worker is there; again after the row was pruned.
pub async fn register(pool: &PgPool, worker: &Worker, draining: bool) -> Result<(), StoreError> {
    queue::register_worker(pool, &worker.id).await?;
    let written = sqlx::query!(
        "INSERT INTO workers (id, host, version, dce_version, slots, draining) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET last_seen = clock_timestamp(), draining = excluded.draining",
        worker.id,
        worker.host,
        worker.version,
        worker.dce_version,
        i32::try_from(worker.slots).unwrap_or(i32::MAX),
        draining,
    )
    .execute(pool)
    .await?;
    exactly_one("register worker", written.rows_affected())
}

/// Takes the worker off the list when it ends in order.
pub async fn deregister(pool: &PgPool, worker: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM workers WHERE id = $1", worker).execute(pool).await?;
    Ok(())
}

/// Workers that were heard of within a lease.
pub async fn live_count(pool: &PgPool) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM workers WHERE last_seen > clock_timestamp() - make_interval(secs => $1)"#,
        LEASE.as_secs_f64()
    )
    .fetch_one(pool)
    .await?;
    Ok(count)
}
