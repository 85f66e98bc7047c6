//! What the handlers share.

use std::time::Duration;

use dce_core::db::PgPool;
use dce_core::export::admission::AdmissionLimit;
use dce_core::export::request::ChannelRules;
use dce_core::store::StoreError;

use crate::problem::Problem;

/// How long a request waits for the database, repetitions included, before it is answered with 503.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);

/// The database and the rules by which exports are created.
#[derive(Debug, Clone)]
pub struct AppState {
    /// Sessions for transitions and reads.
    pub pool: PgPool,
    /// Which channels may be exported.
    pub channels: ChannelRules,
    /// Failures in a row without progress after which a run is given up.
    pub max_attempts: u32,
    /// How many runs may go on at once.
    pub limit: AdmissionLimit,
}

/// The store's answer, if it comes while a client still waits for it.
pub async fn in_time<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    match tokio::time::timeout(DATABASE_PATIENCE, query).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::database_unavailable()),
    }
}
