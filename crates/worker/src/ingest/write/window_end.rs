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
    /// Whether more than the documents shows that nothing is missing at the end. Otherwise an attempt without a message proves
    /// nothing, because a bot without the permission to read the history gets an empty list.
    pub is_proven: bool,
}
