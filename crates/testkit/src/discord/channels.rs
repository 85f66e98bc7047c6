//! Objects of channels and servers, made from the head of a DCE document.

use dce_standin::header::Header;
use dce_standin::snowflake::Snowflake;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api_message::image_hash;

/// DCE's names for types of channels.
const KINDS: [(&str, u64); 13] = [
    ("GuildTextChat", 0),
    ("DirectTextChat", 1),
    ("GuildVoiceChat", 2),
    ("DirectGroupTextChat", 3),
    ("GuildCategory", 4),
    ("GuildNews", 5),
    ("GuildNewsThread", 10),
    ("GuildPublicThread", 11),
    ("GuildPrivateThread", 12),
    ("GuildStageVoice", 13),
    ("GuildDirectory", 14),
    ("GuildForum", 15),
    ("GuildMedia", 16),
];
const CATEGORY: u64 = 4;
const FORUM: u64 = 15;
/// DCE's id of the server that direct messages belong to.
const DIRECT_MESSAGES: &str = "0";

#[derive(Debug, Clone, Deserialize)]
struct Head {
    guild: HeadGuild,
    channel: HeadChannel,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadGuild {
    id: String,
    name: String,
    icon_url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadChannel {
    #[serde(rename = "type")]
    kind: String,
    category_id: Option<String>,
    category: Option<String>,
    name: String,
    topic: Option<String>,
}

/// A channel that the scenario has.
#[derive(Debug, Clone)]
pub(super) struct ChannelInfo {
    id: String,
    head: Head,
    kind: u64,
}

impl ChannelInfo {
    /// None: the head has no names, as that of a source in another layout.
    pub(super) fn new(id: &str, header: &Header) -> Option<Self> {
        let mut document = header.bytes.trim_ascii_end().to_vec();
        if document.last() == Some(&b',') {
            document.pop();
        }
        document.push(b'}');
        let head: Head = serde_json::from_slice(&document).ok()?;
        let named = KINDS.iter().find(|(name, _)| *name == head.channel.kind).map(|(_, kind)| *kind);
        let kind = named.or_else(|| head.channel.kind.parse().ok()).unwrap_or(0);
        Some(Self { id: id.to_owned(), head, kind })
    }

    /// A text channel of which nothing but the id is known.
    pub(super) fn nameless(id: &str) -> Self {
        let guild =
            HeadGuild { id: "900000000000000001".into(), name: "Generated Guild".into(), icon_url: None };
        let (kind, name) = ("GuildTextChat".into(), format!("channel-{id}"));
        let channel = HeadChannel { kind, category_id: None, category: None, name, topic: None };
        Self { id: id.to_owned(), head: Head { guild, channel }, kind: 0 }
    }

    /// The same channel as a forum, which has threads and no messages.
    #[must_use]
    pub(super) fn into_forum(mut self) -> Self {
        self.kind = FORUM;
        self
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn has_messages(&self) -> bool {
        ![CATEGORY, 14, FORUM, 16].contains(&self.kind)
    }

    pub(super) fn is_thread(&self) -> bool {
        (10..=12).contains(&self.kind)
    }

    /// The server; none of direct messages.
    pub(super) fn guild_id(&self) -> Option<&str> {
        Some(self.head.guild.id.as_str()).filter(|id| *id != DIRECT_MESSAGES)
    }

    /// The channel's object.
    pub(super) fn object(&self, last_message_id: Option<Snowflake>) -> Value {
        let channel = &self.head.channel;
        let mut object = json!({
            "id": self.id,
            "type": self.kind,
            "name": channel.name,
            "topic": channel.topic,
            "position": 0,
            "parent_id": channel.category_id,
            "last_message_id": last_message_id.map(|id| id.0.to_string()),
        });
        match self.guild_id() {
            Some(guild) => object["guild_id"] = guild.into(),
            None => object["recipients"] = json!([]),
        }
        if self.is_thread() {
            object["thread_metadata"] =
                json!({ "archived": false, "archive_timestamp": "2024-07-03T09:46:40.000000+00:00" });
        }
        object
    }

    /// The object of the channel's parent, where the scenario has no such channel.
    pub(super) fn parent_object(&self) -> Option<(String, Value)> {
        let channel = &self.head.channel;
        let (id, name) = (channel.category_id.clone()?, channel.category.as_ref()?);
        let kind = if self.is_thread() { 0 } else { CATEGORY };
        let mut object = json!({ "id": id, "type": kind, "name": name, "position": 0, "parent_id": null });
        if let Some(guild) = self.guild_id() {
            object["guild_id"] = guild.into();
        }
        Some((id, object))
    }

    /// The server's id and object.
    pub(super) fn guild_object(&self) -> Option<(String, Value)> {
        let id = self.guild_id()?.to_owned();
        let guild = &self.head.guild;
        let icon = image_hash(&guild.icon_url.clone().into(), "/icons/");
        Some((id.clone(), json!({ "id": id, "name": guild.name, "icon": icon })))
    }
}
