//! Tokens that Discord refused: a circuit breaker shared by all workers. Discord bans addresses that keep sending
//! requests with such a token (its documentation: 10,000 answers of 401, 403 and 429 in ten minutes), so no run starts
//! with one, except for one attempt at intervals (half-open).

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgPool;

use super::{StoreError, repeated};

/// Interval between two attempts with a refused token, over all workers.
pub const HALF_OPEN_INTERVAL: Duration = Duration::from_mins(10);
/// Bytes of the hash that are stored: enough to distinguish tokens.
const FINGERPRINT_BYTES: usize = 8;

/// Identifies a token in tables: the start of its SHA-256, from which the token cannot be recovered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub fn new(token: &str) -> Self {
        let mut text = String::new();
        for byte in Sha256::digest(token.as_bytes()).iter().take(FINGERPRINT_BYTES) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Records that Discord refused the token. `true`: that is news.
pub async fn reject(pool: &PgPool, token: &Fingerprint) -> Result<bool, StoreError> {
    repeated(move || async move {
        let is_new = sqlx::query_scalar!(
            r#"INSERT INTO rejected_tokens (fingerprint) VALUES ($1)
               ON CONFLICT (fingerprint) DO UPDATE SET tried_at = greatest(rejected_tokens.tried_at, clock_timestamp())
               RETURNING xmax = 0 AS "new!""#,
            token.0
        )
        .fetch_one(pool)
        .await?;
        Ok(is_new)
    })
    .await
}

/// Whether Discord refused the token and has not accepted it since.
pub async fn is_rejected(pool: &PgPool, token: &Fingerprint) -> Result<bool, StoreError> {
    let rejected = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM rejected_tokens WHERE fingerprint = $1) AS "rejected!""#,
        token.0
    )
    .fetch_one(pool)
    .await?;
    Ok(rejected)
}

/// Permission for one attempt with a refused token.
#[derive(Debug, Clone, Copy)]
pub struct HalfOpenPermit {
    taken_at: DateTime<Utc>,
}

/// Acquires the permission for an attempt with a refused token: one worker gets it in each [`HALF_OPEN_INTERVAL`], and
/// only if a run is admitted.
pub async fn acquire_permit(
    pool: &PgPool,
    token: &Fingerprint,
) -> Result<Option<HalfOpenPermit>, StoreError> {
    let permit = sqlx::query_as!(
        HalfOpenPermit,
        "UPDATE rejected_tokens SET tried_at = clock_timestamp()
          WHERE fingerprint = $1 AND tried_at <= clock_timestamp() - make_interval(secs => $2)
            AND EXISTS (SELECT FROM export_channels WHERE task_id IS NOT NULL)
         RETURNING tried_at AS taken_at",
        token.0,
        HALF_OPEN_INTERVAL.as_secs_f64()
    )
    .fetch_optional(pool)
    .await?;
    Ok(permit)
}

/// Returns the permission unused, because another worker claimed the run. Changes nothing if the token was tried
/// meanwhile.
pub async fn release_permit(
    pool: &PgPool,
    token: &Fingerprint,
    permit: HalfOpenPermit,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE rejected_tokens SET tried_at = clock_timestamp() - make_interval(secs => $2)
          WHERE fingerprint = $1 AND tried_at = $3",
        token.0,
        HALF_OPEN_INTERVAL.as_secs_f64(),
        permit.taken_at
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Records that Discord accepts the token: runs may start. `true`: it was refused before.
pub async fn accept(pool: &PgPool, token: &Fingerprint) -> Result<bool, StoreError> {
    repeated(move || async move {
        let deleted =
            sqlx::query!("DELETE FROM rejected_tokens WHERE fingerprint = $1", token.0).execute(pool).await?;
        Ok(deleted.rows_affected() == 1)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_distinguishes_tokens_and_contains_none() {
        let token = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.the-token";
        assert_eq!(Fingerprint::new(token), Fingerprint::new(token));
        assert_ne!(Fingerprint::new(token), Fingerprint::new("another"));
        let shown = Fingerprint::new(token).to_string();
        assert_eq!(shown.len(), 16);
        assert!(!token.contains(&shown));
    }
}
