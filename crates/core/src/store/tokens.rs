//! Tokens that Discord refused. Discord bans addresses that go on sending requests with them (its documentation: 10,000
//! answers of 401, 403 and 429 in ten minutes), so no run starts with such a token, but for a trial now and then.

use std::fmt::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgPool;

use super::{StoreError, repeated};

/// From one trial of a refused token to the next, over all workers.
pub const TRIAL_PAUSE: Duration = Duration::from_mins(10);
/// As many bytes of the hash are kept: enough to tell tokens apart.
const FINGERPRINT_BYTES: usize = 8;

/// Stands for a token in tables: the start of its SHA-256, from which nobody gets the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of this token.
    pub fn of(token: &str) -> Self {
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

/// Notes that Discord refused the token. `true`: that was not known before.
pub async fn reject(pool: &PgPool, token: &Fingerprint) -> Result<bool, StoreError> {
    repeated(move || async move {
        let noted = sqlx::query_scalar!(
            r#"INSERT INTO rejected_tokens (fingerprint) VALUES ($1)
               ON CONFLICT (fingerprint) DO UPDATE SET tried_at = greatest(rejected_tokens.tried_at, clock_timestamp())
               RETURNING xmax = 0 AS "new!""#,
            token.0
        )
        .fetch_one(pool)
        .await?;
        Ok(noted)
    })
    .await
}

/// Whether Discord refused the token and has not taken it since.
pub async fn is_rejected(pool: &PgPool, token: &Fingerprint) -> Result<bool, StoreError> {
    let rejected = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM rejected_tokens WHERE fingerprint = $1) AS "rejected!""#,
        token.0
    )
    .fetch_one(pool)
    .await?;
    Ok(rejected)
}

/// The right to try a refused token once.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    taken_at: DateTime<Utc>,
}

/// Takes the right to try a refused token, which one worker gets in each [`TRIAL_PAUSE`]; only if a run is there to try
/// it with.
pub async fn take_trial(pool: &PgPool, token: &Fingerprint) -> Result<Option<Trial>, StoreError> {
    let trial = sqlx::query_as!(
        Trial,
        "UPDATE rejected_tokens SET tried_at = clock_timestamp()
          WHERE fingerprint = $1 AND tried_at <= clock_timestamp() - make_interval(secs => $2)
            AND EXISTS (SELECT FROM export_channels WHERE task_id IS NOT NULL)
         RETURNING tried_at AS taken_at",
        token.0,
        TRIAL_PAUSE.as_secs_f64()
    )
    .fetch_optional(pool)
    .await?;
    Ok(trial)
}

/// Gives the right back, because somebody else had the run. Nothing is changed if more became known meanwhile.
pub async fn return_trial(pool: &PgPool, token: &Fingerprint, trial: Trial) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE rejected_tokens SET tried_at = clock_timestamp() - make_interval(secs => $2)
          WHERE fingerprint = $1 AND tried_at = $3",
        token.0,
        TRIAL_PAUSE.as_secs_f64(),
        trial.taken_at
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Discord takes the token: runs may start. `true`: it was refused before.
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
    fn a_fingerprint_tells_tokens_apart_and_is_none_itself() {
        let token = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.the-token";
        assert_eq!(Fingerprint::of(token), Fingerprint::of(token));
        assert_ne!(Fingerprint::of(token), Fingerprint::of("another"));
        let shown = Fingerprint::of(token).to_string();
        assert_eq!(shown.len(), 16);
        assert!(!token.contains(&shown));
    }
}
