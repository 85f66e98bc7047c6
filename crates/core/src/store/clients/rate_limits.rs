//! Times of each client's accepted creations. [`crate::export::rate_limit`] decides.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgPool};

use crate::export::rate_limit::{Quota, RateLimit, WINDOW};
use crate::store::{StoreError, exactly_one};

/// Maximum number of inactive clients that one creation deletes.
const MAX_DELETED: i64 = 10;

/// Returns a client's remaining quota, without using any of it.
pub async fn remaining(pool: &PgPool, caller: &str, limit: RateLimit) -> Result<Quota, StoreError> {
    let row = sqlx::query!(
        r#"SELECT coalesce((SELECT accepted FROM rate_limits WHERE caller = $1), '{}') AS "accepted!: Vec<DateTime<Utc>>",
                  clock_timestamp() AS "now!""#,
        caller
    )
    .fetch_one(pool)
    .await?;
    Ok(limit.quota(&row.accepted, row.now))
}

/// Uses one creation of the quota, if one is left: the second of the pair. The client's row stays locked until the
/// transaction ends, so that all instances of the API share one limit.
pub(crate) async fn consume(
    connection: &mut PgConnection,
    caller: &str,
    limit: RateLimit,
) -> Result<(Quota, bool), StoreError> {
    let row = sqlx::query!(
        r#"INSERT INTO rate_limits (caller) VALUES ($1)
           ON CONFLICT (caller) DO UPDATE SET updated_at = clock_timestamp()
           RETURNING accepted AS "accepted!: Vec<DateTime<Utc>>""#,
        caller
    )
    .fetch_one(&mut *connection)
    .await?;
    // Read under the lock: earlier holders have counted theirs.
    let now =
        sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut *connection).await?;
    let before = limit.quota(&row.accepted, now);
    if before.remaining == 0 {
        return Ok((before, false));
    }
    let mut accepted: Vec<_> = row.accepted.into_iter().filter(|time| *time > now - WINDOW).collect();
    accepted.push(now);
    let counted = sqlx::query!("UPDATE rate_limits SET accepted = $2 WHERE caller = $1", caller, &accepted)
        .execute(&mut *connection)
        .await?;
    exactly_one("count creation", counted.rows_affected())?;
    delete_inactive(connection).await?;
    Ok((limit.quota(&accepted, now), true))
}

/// Deletes clients that have been inactive for long, except those that another transaction has locked.
async fn delete_inactive(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM rate_limits WHERE caller IN (
             SELECT caller FROM rate_limits WHERE updated_at < clock_timestamp() - $1::float8 * interval '2 seconds'
              ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        WINDOW.as_secs_f64(),
        MAX_DELETED
    )
    .execute(connection)
    .await?;
    Ok(())
}
