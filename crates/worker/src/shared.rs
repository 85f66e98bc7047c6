//! What the runs of a worker share: settings, sessions, leases, the way to start DCE.

use std::fmt;
use std::sync::Arc;

use dce_core::db::PgPool;
use dce_core::store::workers::Worker;

use crate::breaker::Breaker;
use crate::config::Settings;
use crate::dce::{DceVersion, Spawner};
use crate::disk::DiskGuard;
use crate::ingest::sessions::Sessions;
use crate::lease::Leases;
use crate::outage::Outages;
use crate::work_dir::WorkDir;

/// What all runs of a worker share.
pub struct Shared {
    /// Checked settings.
    pub settings: Settings,
    /// As announced in the tables.
    pub worker: Worker,
    /// Session for transitions.
    pub control: PgPool,
    /// Sessions that write messages.
    pub sessions: Sessions,
    /// The runs that are owned.
    pub leases: Leases,
    /// What is known of the database.
    pub outages: Outages,
    /// What is known of the token.
    pub breaker: Breaker,
    /// What is known of the disk.
    pub disk: Arc<DiskGuard>,
    /// Where attempts write.
    pub work_dir: WorkDir,
    /// Starts DCE.
    pub spawner: Spawner,
    /// Which DCE that is.
    pub dce_version: DceVersion,
    /// Draws 0 to 1, to spread retries.
    pub jitter: fn() -> f64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("worker", &self.worker).finish_non_exhaustive()
    }
}
