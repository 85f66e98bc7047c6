//! The part of a DCE document before its messages.

use chrono::{DateTime, Utc};
use dce_snowflake::Snowflake;
use serde_json::Value;

/// The part of a document before its messages. A field that is missing or has an unexpected type is `None`: storing
/// messages needs only the channel's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The server. A direct message has a guild with id 0.
    pub guild: Option<Guild>,
    /// The channel or thread of every message in the document.
    pub channel: Channel,
    /// When DCE wrote the document (DCE 2.40.1 and later).
    pub exported_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guild {
    pub id: Snowflake,
    pub name: Option<String>,
}

/// A channel or thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub id: Snowflake,
    /// DCE's name of the channel type, `GuildTextChat` for example; a number for types without a name in DCE.
    pub kind: Option<String>,
    /// The parent: a category, or a thread's channel.
    pub category_id: Option<Snowflake>,
    pub category: Option<String>,
    pub name: Option<String>,
    pub topic: Option<String>,
}

impl Header {
    /// Reads the document's root object. `None`: it names no channel.
    pub(crate) fn from_root(root: &Value) -> Option<Self> {
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

fn id(value: &Value) -> Option<Snowflake> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
