//! What becomes of messages that are archived already.

use serde::{Deserialize, Serialize};

/// `on_conflict` of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// They stay as they are.
    #[default]
    Ignore,
    /// Those that differ from what a newer export says are replaced by it.
    Update,
}

impl OnConflict {
    /// All that a request may say.
    pub const NAMES: [&str; 2] = ["ignore", "update"];

    /// Reads a request's word for it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ignore" => Some(Self::Ignore),
            "update" => Some(Self::Update),
            _ => None,
        }
    }
}
