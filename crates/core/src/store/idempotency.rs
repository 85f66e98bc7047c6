//! Creations that clients may repeat: what was answered under their keys. Written in the transaction that creates the
//! export, so that there is either both or none.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, exactly_one};

/// How long a key is remembered.
pub const KEPT: Duration = Duration::from_hours(24);
/// Keys that one creation may forget.
const FORGOTTEN: i64 = 20;

/// A client's key for one creation.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyKey<'a> {
    /// What the client gave.
    pub key: &'a str,
    /// Digest of what it asked for.
    pub payload: &'a [u8],
}

/// What was answered under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Digest of what was asked for.
    pub payload: Vec<u8>,
    /// The export that was created.
    pub job_id: Uuid,
    /// The body of the answer.
    pub answer: String,
}

/// What was answered to this client under this key.
pub async fn find(pool: &PgPool, caller: &str, key: &str) -> Result<Option<Answered>, StoreError> {
    find_on(&mut *pool.acquire().await?, caller, key).await
}

async fn find_on(
    connection: &mut PgConnection,
    caller: &str,
    key: &str,
) -> Result<Option<Answered>, StoreError> {
    let found = sqlx::query_as!(
        Answered,
        "SELECT payload, job_id, answer FROM idempotency_keys
          WHERE caller = $1 AND key = $2 AND created_at > clock_timestamp() - $3::float8 * interval '1 second'",
        caller,
        key,
        KEPT.as_secs_f64(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Takes the key for an export. Waits for whoever is about to use it; what that one answered, if it did.
pub(crate) async fn take(
    connection: &mut PgConnection,
    caller: &str,
    key: IdempotencyKey<'_>,
    job_id: Uuid,
) -> Result<Option<Answered>, StoreError> {
    loop {
        forget(connection, caller, key.key).await?;
        let taken = sqlx::query!(
            "INSERT INTO idempotency_keys (caller, key, payload, job_id) VALUES ($1, $2, $3, $4)
             ON CONFLICT (caller, key) DO NOTHING",
            caller,
            key.key,
            key.payload,
            job_id,
        )
        .execute(&mut *connection)
        .await?;
        if taken.rows_affected() == 1 {
            return Ok(None);
        }
        // A statement of its own, which sees what the other one committed. Forgotten in between: once more.
        if let Some(answered) = find_on(connection, caller, key.key).await? {
            return Ok(Some(answered));
        }
    }
}

/// Keeps the answer.
pub(crate) async fn answered(
    connection: &mut PgConnection,
    caller: &str,
    key: &str,
    answer: &str,
) -> Result<(), StoreError> {
    let kept = sqlx::query!(
        "UPDATE idempotency_keys SET answer = $3 WHERE caller = $1 AND key = $2",
        caller,
        key,
        answer
    )
    .execute(connection)
    .await?;
    exactly_one("keep answer", kept.rows_affected())
}

/// Forgets this key if its time is over, and some others whose time is.
async fn forget(connection: &mut PgConnection, caller: &str, key: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM idempotency_keys
          WHERE caller = $1 AND key = $2 AND created_at <= clock_timestamp() - $3::float8 * interval '1 second'",
        caller,
        key,
        KEPT.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM idempotency_keys WHERE (caller, key) IN (
             SELECT caller, key FROM idempotency_keys
              WHERE created_at <= clock_timestamp() - $1::float8 * interval '1 second'
              ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        KEPT.as_secs_f64(),
        FORGOTTEN
    )
    .execute(connection)
    .await?;
    Ok(())
}
