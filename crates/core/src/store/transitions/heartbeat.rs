//! Renewal of the leases of a worker's runs.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::export::admission::LEASE;
use crate::store::StoreError;

/// How often a worker renews its leases. Four intervals fit into one lease.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// The state of a run's lease after a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    Renewed,
    /// A cancel was requested: stop DCE, then hand the run back.
    CancelRequested,
    /// Another transaction holds the row: ask again.
    Busy,
    /// The run has another owner: kill DCE, write nothing.
    Lost,
}

/// Renews the leases of all runs of a worker in one statement. It waits for no row: a run that is ending must not delay
/// the others.
pub async fn heartbeat(
    pool: &PgPool,
    worker: &str,
    runs: &[(Uuid, i32)],
) -> Result<HashMap<Uuid, LeaseState>, StoreError> {
    let (ids, attempts): (Vec<Uuid>, Vec<i32>) = runs.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"WITH m AS (SELECT m.id, m.attempt FROM unnest($2::uuid[], $3::int[]) AS m (id, attempt)),
                mine AS (SELECT r.id FROM export_channels r JOIN m USING (id)
                          WHERE r.attempt = m.attempt AND r.lease_owner = $1 AND r.status = 'running'
                            FOR NO KEY UPDATE OF r SKIP LOCKED),
                beat AS (UPDATE export_channels r SET lease_expires_at = clock_timestamp() + make_interval(secs => $4)
                           FROM mine WHERE r.id = mine.id RETURNING r.id)
           SELECT m.id AS "id!",
                  beat.id IS NOT NULL AS "renewed!",
                  coalesce(e.cancel_requested_at IS NOT NULL, false) AS "cancel_requested!",
                  coalesce(r.attempt = m.attempt AND r.lease_owner = $1 AND r.status = 'running', false) AS "mine!"
             FROM m LEFT JOIN beat USING (id) LEFT JOIN export_channels r ON r.id = m.id
                    LEFT JOIN exports e ON e.job_id = r.job_id"#,
        worker,
        &ids,
        &attempts,
        LEASE.as_secs_f64(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let state = match (row.renewed, row.cancel_requested, row.mine) {
                // Also while another transaction holds the run: on a slow server its batches lock it nearly always.
                (true, true, _) | (false, true, true) => LeaseState::CancelRequested,
                (true, false, _) => LeaseState::Renewed,
                (false, false, true) => LeaseState::Busy,
                (false, _, false) => LeaseState::Lost,
            };
            (row.id, state)
        })
        .collect())
}
