//! Keeps a token that Discord refused from being sent again and again: no run starts with it, but for a trial now and then.

use std::sync::atomic::{AtomicBool, Ordering};

use dce_core::store::StoreError;
use dce_core::store::tokens::{self, Fingerprint};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgPool;

/// Whether a run may start with this worker's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// One may, to see whether Discord takes the token again; given back if there is none.
    Trial,
    /// Discord refused the token, and the next trial is not due.
    Refused,
}

/// What is known of this worker's token; what the fleet knows stands in the database.
#[derive(Debug)]
pub struct Breaker {
    token: Fingerprint,
    rejected: AtomicBool,
}

impl Breaker {
    /// For this token, of which nothing bad is known yet.
    pub fn new(token: &SecretString) -> Self {
        Self { token: Fingerprint::of(token.expose_secret()), rejected: AtomicBool::new(false) }
    }

    /// Whether the token is refused, as far as was last heard.
    pub fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Asks what the fleet knows, before a run is started.
    pub async fn permission(&self, pool: &PgPool) -> Result<Permission, StoreError> {
        let rejected = tokens::is_rejected(pool, &self.token).await?;
        self.heard(rejected);
        if !rejected {
            return Ok(Permission::Granted);
        }
        Ok(if tokens::take_trial(pool, &self.token).await? { Permission::Trial } else { Permission::Refused })
    }

    /// There was no run to try the token with.
    pub async fn return_trial(&self, pool: &PgPool) -> Result<(), StoreError> {
        tokens::return_trial(pool, &self.token).await
    }

    /// Discord refused the token. `true`: that was not known, this run is the first to learn it.
    pub async fn reject(&self, pool: &PgPool) -> Result<bool, StoreError> {
        let news = tokens::reject(pool, &self.token).await?;
        self.heard(true);
        Ok(news)
    }

    /// Discord takes the token.
    pub async fn accept(&self, pool: &PgPool) -> Result<(), StoreError> {
        tokens::accept(pool, &self.token).await?;
        self.heard(false);
        Ok(())
    }

    fn heard(&self, rejected: bool) {
        let before = self.rejected.swap(rejected, Ordering::Relaxed);
        if rejected && !before {
            tracing::error!(
                fingerprint = %self.token,
                "token.rejected: no export starts with it, but for a trial every 10 minutes, until DISCORD_TOKEN is changed"
            );
        } else if before && !rejected {
            tracing::info!(fingerprint = %self.token, "token.accepted");
        }
    }
}
