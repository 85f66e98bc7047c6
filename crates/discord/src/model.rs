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

/// Whether Discord sends the content of messages to an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageContentIntent {
    /// Discord has approved the application's access.
    Approved,
    /// Enabled in the developer portal. Discord does not ask for an approval while few users can be reached.
    Limited,
    /// Off: content, embeds, attachments and components of most messages are empty.
    Missing,
}

impl Application {
    const MESSAGE_CONTENT: u64 = 1 << 18;
    const MESSAGE_CONTENT_LIMITED: u64 = 1 << 19;

    pub const fn message_content(&self) -> MessageContentIntent {
        if self.flags & Self::MESSAGE_CONTENT != 0 {
            MessageContentIntent::Approved
        } else if self.flags & Self::MESSAGE_CONTENT_LIMITED != 0 {
            MessageContentIntent::Limited
        } else {
            MessageContentIntent::Missing
        }
    }

    pub const fn has_message_content(&self) -> bool {
        !matches!(self.message_content(), MessageContentIntent::Missing)
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
