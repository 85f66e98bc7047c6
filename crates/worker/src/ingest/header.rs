//! What a DCE document says about itself before its messages.

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
use serde_json::Value;

use super::document::FrameError;
use super::text::valid_utf8;

/// The part of a document before its messages. What is missing or of an unexpected type is `None`:
/// only the channel's id is needed to store messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The server; `None` for a document without one. A direct message has id 0.
    pub guild: Option<Guild>,
    /// The channel or thread of every message in the document.
    pub channel: Channel,
    /// When DCE wrote the document (DCE 2.40.1 and later).
    pub exported_at: Option<DateTime<Utc>>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guild {
    /// Its id, 0 for direct messages.
    pub id: Snowflake,
    /// Its name.
    pub name: Option<String>,
}

/// A channel or thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its id.
    pub id: Snowflake,
    /// DCE's name of the kind, `GuildTextChat` for example; a bare number for kinds DCE has no name for.
    pub kind: Option<String>,
    /// The parent: a category, or the channel of a thread.
    pub category_id: Option<Snowflake>,
    /// The parent's name.
    pub category: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
}

impl From<Header> for dce_core::store::batches::channel::Channel {
    fn from(header: Header) -> Self {
        let (guild_id, guild_name) =
            header.guild.map_or((None, None), |guild| (Some(guild.id.to_string()), guild.name));
        Self {
            channel_id: header.channel.id,
            guild_id,
            guild_name,
            name: header.channel.name,
            kind: header.channel.kind,
            topic: header.channel.topic,
            category_id: header.channel.category_id.map(|id| id.to_string()),
            category: header.channel.category,
        }
    }
}

impl Header {
    /// The header in a document's root object, `None` if it names no channel.
    pub(super) fn of(root: &Value) -> Option<Self> {
        let guild = &root["guild"];
        let channel = &root["channel"];
        Some(Self {
            guild: id(&guild["id"]).map(|id| Guild { id, name: text(&guild["name"]) }),
            channel: Channel {
                id: id(&channel["id"])?,
                kind: text(&channel["type"]),
                category_id: id(&channel["categoryId"]),
                category: text(&channel["category"]),
                name: text(&channel["name"]),
                topic: text(&channel["topic"]),
            },
            exported_at: root["exportedAt"]
                .as_str()
                .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
                .map(|time| time.to_utc()),
        })
    }
}

/// A document's root object, its messages left out.
pub(super) fn root(json: &[u8]) -> Result<Value, FrameError> {
    let (json, _) = valid_utf8(json);
    serde_json::from_str(&json).map_err(|_| FrameError::UnreadableProperties)
}

/// The document's `messageCount`, if it stands in this part of the root object.
pub(super) fn message_count(root: &Value) -> Result<Option<u64>, FrameError> {
    match &root["messageCount"] {
        Value::Null => Ok(None),
        count => count.as_u64().map(Some).ok_or(FrameError::CountUnreadable),
    }
}

fn id(value: &Value) -> Option<Snowflake> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
