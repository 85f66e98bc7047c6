//! State that all runs of a worker share: settings, database sessions, leases, the starter of DCE.

use std::sync::Arc;

use dce_core::db::PgPool;
use dce_core::store::workers::Worker;

use crate::database_health::DatabaseHealth;
use crate::dce::{DceVersion, Spawner};
use crate::discord_access::DiscordAccess;
use crate::disk_space::DiskMonitor;
use crate::ingest::write::sessions::Sessions;
use crate::lease::Leases;
use crate::settings::Settings;
use crate::token_breaker::TokenBreaker;
use crate::work_dir::WorkDir;

pub struct WorkerContext {
    pub settings: Settings,
    pub worker: Worker,
    /// The session for transitions.
    pub control: PgPool,
    /// The sessions that write messages.
    pub sessions: Sessions,
    pub leases: Leases,
    pub database: DatabaseHealth,
    pub breaker: TokenBreaker,
    /// Discord itself, beside DCE.
    pub discord: DiscordAccess,
    pub disk: Arc<DiskMonitor>,
    pub work_dir: WorkDir,
    pub spawner: Spawner,
    pub dce_version: DceVersion,
    /// Returns a random number from 0 to 1, to spread retries.
    pub jitter: fn() -> f64,
}
