//! Sessions that may still write: ended before somebody else writes in their place.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use super::StoreError;

/// How long the end of sessions is waited for.
const END_LIMIT: Duration = Duration::from_secs(1);
/// Pause between two looks whether they have ended.
const LOOK: Duration = Duration::from_millis(20);

/// How the calling session is known: its pid, start and name, as a list of one. A pid alone may be somebody else's later,
/// and a pooler hands sessions on.
pub async fn own(connection: &mut PgConnection) -> Result<serde_json::Value, StoreError> {
    let own = sqlx::query_scalar!(
        r#"SELECT jsonb_build_array(jsonb_build_object('pid', s.pid, 'backend_start', s.backend_start,
                                                       'application_name', s.application_name)) AS "own!"
             FROM pg_stat_activity s WHERE s.pid = pg_backend_pid()"#
    )
    .fetch_one(connection)
    .await?;
    Ok(own)
}

/// Ends these sessions and waits up to a second for their end: a session that was left inside of a COPY blocks whoever
/// writes the same rows, and no timeout of the server ends it. Returns how many there were.
pub async fn end(connection: &mut PgConnection, sessions: &serde_json::Value) -> Result<i64, StoreError> {
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
    while ended > 0 && since.elapsed() < END_LIMIT && are_there(connection, sessions).await? {
        tokio::time::sleep(LOOK).await;
    }
    Ok(ended)
}

async fn are_there(connection: &mut PgConnection, sessions: &serde_json::Value) -> Result<bool, StoreError> {
    let there = sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM jsonb_to_recordset($1) AS b (pid int, backend_start timestamptz, application_name text)
               JOIN pg_stat_activity s USING (pid, backend_start, application_name)) AS "there!""#,
        sessions
    )
    .fetch_one(connection)
    .await?;
    Ok(there)
}
