//! How many runs may be running or admitted at once. The fair order among them is decided in SQL, under the lock
//! (migration `admission`).

use std::time::Duration;

/// Who holds a run without a sign of life for so long has lost it.
pub const LEASE: Duration = Duration::from_secs(20);

/// The bound of admission: the smaller of this and the slots of all live workers, at least 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdmissionLimit {
    /// `MAX_PARALLEL_RUNS`; `None` leaves it to the number of slots.
    pub max_parallel_runs: Option<u32>,
}
