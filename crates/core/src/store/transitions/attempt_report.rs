//! What an attempt reports with its end.

use crate::ids::Snowflake;

/// Facts about an attempt that the tables keep besides its outcome.
#[derive(Debug, Clone, Default)]
pub struct AttemptReport {
    pub dce_version: Option<String>,
    /// `None` if a signal ended DCE or it never ran.
    pub exit_code: Option<i32>,
    pub stderr_tail: Option<String>,
    /// Requests that the service itself sent to Discord: added to the run's.
    pub discord_requests: i64,
    /// DCE was through and everything is committed: the next attempt asks Discord before it starts DCE.
    pub through: bool,
    /// A lower exclusive end of the run, because its present one lies in Discord's future. Never raises it.
    pub upper: Option<Snowflake>,
    pub reread: Reread,
}

/// A change of the id from which the next attempt reads messages again that appeared below the cursor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reread {
    #[default]
    Unchanged,
    /// Nothing is left to read again.
    Nothing,
    /// The lowest id that appeared late.
    From(Snowflake),
}
