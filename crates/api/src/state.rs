//! What the handlers share.

use std::time::Duration;

use dce_core::db::PgPool;
use dce_core::export::admission::AdmissionLimit;
use dce_core::export::rate_limit::RateLimit;
use dce_core::export::request::ChannelRules;
use dce_core::store::{self, StoreError};

use crate::auth::keys::Keys;
use crate::live::Hub;
use crate::problem::Problem;
use crate::reading::archive::Archive;

/// The database, who may ask, and the rules by which exports are created.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Sessions for transitions and short reads.
    pub pool: PgPool,
    /// Sessions for pages of the archive.
    pub archive: Archive,
    /// Who may ask; `None`: whoever reaches the server.
    pub keys: Option<Keys>,
    /// Which channels may be exported.
    pub channels: ChannelRules,
    /// Failures in a row without progress after which a run is given up.
    pub max_attempts: u32,
    /// How many exports a client may create; `None`: as many as it wants.
    pub rate_limit: Option<RateLimit>,
    /// How long a request may take to come.
    pub request_timeout: Duration,
    /// How many runs may go on at once.
    pub limit: AdmissionLimit,
    /// Where exports are watched.
    pub live: Hub,
}

/// The store's answer, if it comes while a client still waits for it, repetitions included; else a 503.
pub fn in_time<T>(
    query: impl Future<Output = Result<T, StoreError>>,
) -> impl Future<Output = Result<T, Problem>> {
    let query = Box::pin(query); // large, and moved from hand to hand
    async move { Ok(store::in_time(query).await?) }
}
