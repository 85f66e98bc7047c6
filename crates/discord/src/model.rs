//! Discord's objects, as far as the service uses them. Other fields are ignored.

use dce_snowflake::Snowflake;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    pub id: Snowflake,
    pub username: String,
    pub global_name: Option<String>,
    #[serde(default)]
    pub bot: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Guild {
    pub id: Snowflake,
    pub name: String,
}

/// A bot's application, which holds its intents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Application {
    pub id: Snowflake,
    pub name: String,
    #[serde(default)]
    pub flags: u64,
}

impl Application {
    const MESSAGE_CONTENT: u64 = 1 << 18;
    const MESSAGE_CONTENT_LIMITED: u64 = 1 << 19;

    /// Whether messages come with their content. The limited flag is that of applications that Discord has not reviewed.
    pub const fn has_message_content(&self) -> bool {
        self.flags & (Self::MESSAGE_CONTENT | Self::MESSAGE_CONTENT_LIMITED) != 0
    }
}

/// A channel, a thread or a direct message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Channel {
    pub id: Snowflake,
    #[serde(rename = "type")]
    pub kind: u64,
    pub guild_id: Option<Snowflake>,
    pub parent_id: Option<Snowflake>,
    pub name: Option<String>,
    /// Not updated when messages are deleted, and null in an unused channel.
    pub last_message_id: Option<Snowflake>,
}

impl Channel {
    const DIRECT_MESSAGE: u64 = 1;
    const GROUP_DIRECT_MESSAGE: u64 = 3;

    /// Whether nobody can lose the right to read the history: direct messages have no permissions.
    pub const fn is_direct(&self) -> bool {
        matches!(self.kind, Self::DIRECT_MESSAGE | Self::GROUP_DIRECT_MESSAGE)
    }
}
