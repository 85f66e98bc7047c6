//! Circuit breaker for the Discord token: after a rejection no run starts with it, except one probe every ten minutes.

use std::sync::atomic::{AtomicBool, Ordering};

use dce_core::store::StoreError;
use dce_core::store::discord_tokens::{self, Fingerprint, HalfOpenPermit};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgPool;

/// Whether a run may start with this worker's token.
#[derive(Debug, Clone, Copy)]
pub enum BreakerState {
    /// Discord accepts the token: runs may start.
    Closed,
    /// One run may start, to probe whether Discord accepts the token again. The permit is released if there is no run.
    HalfOpen(HalfOpenPermit),
    /// Discord rejected the token, and the next probe is not due.
    Open,
}

/// This worker's last known state of its token; the state shared by all workers is in the database.
#[derive(Debug)]
pub struct TokenBreaker {
    token: Fingerprint,
    rejected: AtomicBool,
}

impl TokenBreaker {
    pub fn new(token: &SecretString) -> Self {
        Self { token: Fingerprint::new(token.expose_secret()), rejected: AtomicBool::new(false) }
    }

    /// The last known state, without asking the database.
    pub fn is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Reads the state shared by all workers, before a run is started.
    pub async fn state(&self, pool: &PgPool) -> Result<BreakerState, StoreError> {
        let rejected = discord_tokens::is_rejected(pool, &self.token).await?;
        self.update(rejected);
        if !rejected {
            return Ok(BreakerState::Closed);
        }
        Ok(discord_tokens::acquire_permit(pool, &self.token)
            .await?
            .map_or(BreakerState::Open, BreakerState::HalfOpen))
    }

    /// Releases the permit because there was no run to probe the token with.
    pub async fn release_permit(&self, pool: &PgPool, permit: HalfOpenPermit) -> Result<(), StoreError> {
        discord_tokens::release_permit(pool, &self.token, permit).await
    }

    /// Records that Discord rejected the token. Returns `true` for the first run to report it.
    pub async fn reject(&self, pool: &PgPool) -> Result<bool, StoreError> {
        let is_first = discord_tokens::reject(pool, &self.token).await?;
        self.update(true);
        Ok(is_first)
    }

    /// Records that Discord accepts the token.
    pub async fn accept(&self, pool: &PgPool) -> Result<(), StoreError> {
        discord_tokens::accept(pool, &self.token).await?;
        self.update(false);
        Ok(())
    }

    fn update(&self, rejected: bool) {
        let before = self.rejected.swap(rejected, Ordering::Relaxed);
        if rejected && !before {
            tracing::error!(
                fingerprint = %self.token,
                consequence = "no export starts with this token, except one probe every 10 minutes",
                remedy = "change DISCORD_TOKEN",
                "token.rejected"
            );
        } else if before && !rejected {
            tracing::info!(fingerprint = %self.token, "token.accepted");
        }
    }
}
