//! State shared by all handlers.

use std::time::Duration;

use dce_core::db::PgPool;
use dce_core::export::admission::AdmissionLimit;
use dce_core::export::rate_limit::RateLimit;
use dce_core::export::request::ChannelRules;
use dce_core::store::{self, StoreError};

use crate::auth::keys::Keys;
use crate::live::Hub;
use crate::problem::Problem;
use crate::reading::sessions::ReadSessions;

#[derive(Debug, Clone)]
pub struct AppState {
    /// Sessions for transitions and short reads.
    pub pool: PgPool,
    /// Sessions for pages of the archive.
    pub archive: ReadSessions,
    /// `None`: no authentication.
    pub keys: Option<Keys>,
    /// Which channels may be exported.
    pub channels: ChannelRules,
    /// Failures in a row without progress after which a run fails for good.
    pub max_attempts: u32,
    /// Exports that a client may create; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Time allowed to receive a request.
    pub request_timeout: Duration,
    /// Runs that may be active at once.
    pub limit: AdmissionLimit,
    /// Live events of exports.
    pub live: Hub,
}

/// Runs a query, including its retries, as long as a client would wait for it; after that the answer is a 503.
pub fn in_time<T>(
    query: impl Future<Output = Result<T, StoreError>>,
) -> impl Future<Output = Result<T, Problem>> {
    let query = Box::pin(query); // large, and moved several times
    async move { Ok(store::in_time(query).await?) }
}
