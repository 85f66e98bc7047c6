//! The treatment of messages that are archived already (`on_conflict`).

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Archived messages stay as they are.
    #[default]
    Ignore,
    /// A newer export replaces archived messages that differ.
    Update,
}

impl OnConflict {
    pub const NAMES: [&str; 2] = ["ignore", "update"];

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ignore" => Some(Self::Ignore),
            "update" => Some(Self::Update),
            _ => None,
        }
    }
}
