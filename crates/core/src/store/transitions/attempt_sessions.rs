//! The database sessions of an attempt (`export_channels.ingest_backends`), terminated before another attempt writes.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use super::fence::Fence;
use crate::store::StoreError;

/// Time allowed for sessions to end.
const END_LIMIT: Duration = Duration::from_secs(1);
/// Pause between two checks whether they have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns pid, start and name of the calling session, as a list of one. The pid alone does not identify it: the server
/// reuses pids, and a pooler hands sessions on.
pub async fn current_session(connection: &mut PgConnection) -> Result<serde_json::Value, StoreError> {
    let own = sqlx::query_scalar!(
        r#"SELECT jsonb_build_array(jsonb_build_object('pid', s.pid, 'backend_start', s.backend_start,
                                                       'application_name', s.application_name)) AS "own!"
             FROM pg_stat_activity s WHERE s.pid = pg_backend_pid()"#
    )
    .fetch_one(connection)
    .await?;
    Ok(own)
}

/// Terminates these sessions and waits up to a second for their end: a session left inside a COPY blocks other writers of
/// the same rows, and no timeout of the server ends it. Returns the number of sessions found.
pub async fn terminate_sessions(
    connection: &mut PgConnection,
    sessions: &serde_json::Value,
) -> Result<i64, StoreError> {
    // All three must match.
    let ended = sqlx::query_scalar!(
        r#"SELECT count(*) FILTER (WHERE pg_terminate_backend(s.pid)) AS "count!"
             FROM jsonb_to_recordset($1) AS b (pid int, backend_start timestamptz, application_name text)
             JOIN pg_stat_activity s USING (pid, backend_start, application_name)"#,
        sessions
    )
    .fetch_one(&mut *connection)
    .await?;
    let since = Instant::now();
    while ended > 0 && since.elapsed() < END_LIMIT && any_left(connection, sessions).await? {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(ended)
}

async fn any_left(connection: &mut PgConnection, sessions: &serde_json::Value) -> Result<bool, StoreError> {
    let left = sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM jsonb_to_recordset($1) AS b (pid int, backend_start timestamptz, application_name text)
               JOIN pg_stat_activity s USING (pid, backend_start, application_name)) AS "there!""#,
        sessions
    )
    .fetch_one(connection)
    .await?;
    Ok(left)
}

/// Records the calling session as one that may write for this attempt, so that a rescue can terminate it first.
/// A transaction of its own, committed before the session's first write.
pub async fn record_backend(ingest: &mut PgConnection, fence: &Fence) -> Result<(), StoreError> {
    let recorded = sqlx::query!(
        "UPDATE export_channels SET ingest_backends = ingest_backends ||
                (SELECT jsonb_build_array(jsonb_build_object('pid', s.pid, 'backend_start', s.backend_start,
                                                             'application_name', s.application_name))
                   FROM pg_stat_activity s WHERE s.pid = pg_backend_pid())
          WHERE id = $1 AND attempt = $2 AND lease_owner = $3 AND status = 'running'",
        fence.run_id,
        fence.attempt,
        fence.worker
    )
    .execute(ingest)
    .await?;
    if recorded.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Lost) }
}
