//! Answers stored under the idempotency keys of clients. A key is written in the transaction that creates its export, so
//! that both exist or neither.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use crate::store::{StoreError, exactly_one};

/// Time for which a key is stored.
pub const KEY_LIFETIME: Duration = Duration::from_hours(24);
/// Maximum number of other expired keys that one creation deletes.
const MAX_DELETED: i64 = 20;

/// A client's key for one creation.
#[derive(Debug, Clone, Copy)]
pub struct IdempotencyKey<'a> {
    pub key: &'a str,
    /// Digest of the request.
    pub payload: &'a [u8],
}

/// The answer stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Digest of the request.
    pub payload: Vec<u8>,
    pub job_id: Uuid,
    /// The body.
    pub answer: String,
}

/// Finds the answer stored under a key of this client.
pub async fn find(pool: &PgPool, caller: &str, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
    find_on(&mut *pool.acquire().await?, caller, key).await
}

async fn find_on(
    connection: &mut PgConnection,
    caller: &str,
    key: &str,
) -> Result<Option<StoredAnswer>, StoreError> {
    let found = sqlx::query_as!(
        StoredAnswer,
        "SELECT payload, job_id, answer FROM idempotency_keys
          WHERE caller = $1 AND key = $2 AND created_at > clock_timestamp() - $3::float8 * interval '1 second'",
        caller,
        key,
        KEY_LIFETIME.as_secs_f64(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}

/// Reserves the key for an export. Waits for a concurrent request with the same key; returns the answer that one stored.
pub(crate) async fn reserve(
    connection: &mut PgConnection,
    caller: &str,
    key: IdempotencyKey<'_>,
    job_id: Uuid,
) -> Result<Option<StoredAnswer>, StoreError> {
    loop {
        delete_expired(connection, caller, key.key).await?;
        let inserted = sqlx::query!(
            "INSERT INTO idempotency_keys (caller, key, payload, job_id) VALUES ($1, $2, $3, $4)
             ON CONFLICT (caller, key) DO NOTHING",
            caller,
            key.key,
            key.payload,
            job_id,
        )
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        // A statement of its own, which sees the other one's commit. If the key was deleted in between, try again.
        if let Some(answered) = find_on(connection, caller, key.key).await? {
            return Ok(Some(answered));
        }
    }
}

pub(crate) async fn store_answer(
    connection: &mut PgConnection,
    caller: &str,
    key: &str,
    answer: &str,
) -> Result<(), StoreError> {
    let stored = sqlx::query!(
        "UPDATE idempotency_keys SET answer = $3 WHERE caller = $1 AND key = $2",
        caller,
        key,
        answer
    )
    .execute(connection)
    .await?;
    exactly_one("store answer", stored.rows_affected())
}

/// Deletes this key if it has expired, and some others that have.
async fn delete_expired(connection: &mut PgConnection, caller: &str, key: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM idempotency_keys
          WHERE caller = $1 AND key = $2 AND created_at <= clock_timestamp() - $3::float8 * interval '1 second'",
        caller,
        key,
        KEY_LIFETIME.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM idempotency_keys WHERE (caller, key) IN (
             SELECT caller, key FROM idempotency_keys
              WHERE created_at <= clock_timestamp() - $1::float8 * interval '1 second'
              ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        KEY_LIFETIME.as_secs_f64(),
        MAX_DELETED
    )
    .execute(connection)
    .await?;
    Ok(())
}
