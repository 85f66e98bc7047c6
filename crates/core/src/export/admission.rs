//! The limit of runs that are running or admitted at once. SQL decides their fair order, under the admission lock
//! (migration `admission`).

use std::time::Duration;

/// Time after which a worker that sends no heartbeat loses its runs.
pub const LEASE: Duration = Duration::from_secs(20);

/// The limit is the smaller of this and the slots of all live workers, at least 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdmissionLimit {
    /// `MAX_PARALLEL_RUNS`; `None`: the number of slots alone is the limit.
    pub max_parallel_runs: Option<u32>,
}
