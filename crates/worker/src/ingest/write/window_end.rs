//! The end of a run's window, once everything below it is read.

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;

/// The end of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowEnd {
    /// Exclusive; never above the run's own bound.
    pub upper: Snowflake,
    /// When Discord was asked. `None`: when the newest document was written.
    pub as_of: Option<DateTime<Utc>>,
}
