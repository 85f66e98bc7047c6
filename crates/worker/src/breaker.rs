//! Keeps a token that Discord refused from being sent again and again: no run starts with it, but for a trial now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dce_core::export::failure::FailureKind;
use dce_core::store::StoreError;
use dce_core::store::tokens::{self, Fingerprint, Trial};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;

use crate::outcome::Outcome;
use crate::shared::Shared;

/// Whether a run may start with this worker's token.
#[derive(Debug, Clone, Copy)]
pub enum Permission {
    /// It may.
    Granted,
    /// One may, to see whether Discord takes the token again; given back if there is none.
    Trial(Trial),
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
        Ok(tokens::take_trial(pool, &self.token).await?.map_or(Permission::Refused, Permission::Trial))
    }

    /// There was no run to try the token with.
    pub async fn return_trial(&self, pool: &PgPool, trial: Trial) -> Result<(), StoreError> {
        tokens::return_trial(pool, &self.token, trial).await
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

/// Watches a trial: Discord takes the token as soon as it says anything of the channel.
#[derive(Debug)]
pub struct Tried(JoinHandle<()>);

impl Tried {
    /// `described`: returns when DCE has said something of the channel.
    pub fn watch(shared: &Arc<Shared>, described: impl Future<Output = ()> + Send + 'static) -> Self {
        let shared = Arc::clone(shared);
        Self(tokio::spawn(async move {
            described.await;
            accept(&shared).await;
        }))
    }

    /// The trial has ended: what it showed is said, unless it was said before.
    pub async fn ended(&self, shared: &Shared, outcome: &Outcome, described: bool) {
        let shows = match outcome {
            Outcome::Failed(failure) if failure.kind == FailureKind::InvalidToken => false,
            Outcome::Failed(failure) => described || failure.kind.shows_a_valid_token(),
            _ => described,
        };
        if shows && !self.0.is_finished() {
            self.0.abort();
            accept(shared).await;
        }
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(shared: &Shared) {
    match shared.breaker.accept(&shared.control).await {
        Ok(()) => shared.leases.beat_now(),
        // The next trial says it again.
        Err(error) => tracing::warn!(error = %error, "token.not_accepted"),
    }
}
