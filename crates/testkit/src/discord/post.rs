//! Messages that tests write into a channel.

use chrono::{DateTime, Utc};
use dce_standin::snowflake::{Snowflake, iso};
use serde_json::Value;

/// A message to be posted. One with the id of an existing message replaces it, as an edit does.
#[derive(Debug, Clone)]
pub struct Post {
    id: Snowflake,
    kind: String,
    timestamp: DateTime<Utc>,
    author: u64,
    content: String,
    /// Channel and message.
    reference: Option<(String, u64)>,
    api: Option<String>,
}

impl Post {
    /// A plain message of this id, with the time of the id and its digits as content.
    pub fn new(id: u64) -> Self {
        Self {
            id: Snowflake(id),
            kind: "Default".into(),
            timestamp: Snowflake(id).date(),
            author: 800_000_000_000_000_000,
            content: format!("message {id}"),
            reference: None,
            api: None,
        }
    }

    /// A time that is not the id's.
    #[must_use]
    pub fn timestamp(mut self, timestamp: DateTime<Utc>) -> Self {
        self.timestamp = timestamp;
        self
    }

    #[must_use]
    pub fn author(mut self, author: u64) -> Self {
        self.author = author;
        self
    }

    #[must_use]
    pub fn content(mut self, content: impl Into<String>) -> Self {
        self.content = content.into();
        self
    }

    /// The empty placeholder at the beginning of a thread that was started from this message of the parent channel.
    #[must_use]
    pub fn thread_starter(mut self, channel: impl Into<String>, message: u64) -> Self {
        self.kind = "ThreadStarterMessage".into();
        self.content = String::new();
        self.reference = Some((channel.into(), message));
        self
    }

    /// Serves this JSON in place of an object of the API, whatever it is. DCE's JSON is made of the other fields.
    #[must_use]
    pub fn api(mut self, json: impl Into<String>) -> Self {
        self.api = Some(json.into());
        self
    }

    pub(super) fn id(&self) -> Snowflake {
        self.id
    }

    pub(super) fn api_json(&self) -> Option<&str> {
        self.api.as_deref()
    }

    /// The message as DCE writes it, from its `    {` to its `    }`.
    pub(super) fn dce_json(&self, guild: &str) -> Vec<u8> {
        let Self { id, kind, author, .. } = self;
        let (id, content, time) = (id.0, Value::from(self.content.as_str()), iso(self.timestamp));
        let author = format!(
            "{{\n        \"id\": \"{author}\",\n        \"name\": \"poster_{author}\",\n        \
             \"discriminator\": \"0000\",\n        \"nickname\": \"poster_{author}\",\n        \"color\": null,\n        \
             \"isBot\": false,\n        \"roles\": [],\n        \
             \"avatarUrl\": \"https://cdn.discordapp.com/embed/avatars/0.png\"\n      }}"
        );
        let reference = self.reference.as_ref().map_or_else(String::new, |(channel, message)| {
            format!(
                "\"reference\": {{\n        \"type\": \"Default\",\n        \"messageId\": \"{message}\",\n        \
                 \"channelId\": \"{channel}\",\n        \"guildId\": \"{guild}\"\n      }},\n      "
            )
        });
        format!(
            "    {{\n      \"id\": \"{id}\",\n      \"type\": \"{kind}\",\n      \"timestamp\": \"{time}\",\n      \
             \"timestampEdited\": null,\n      \"callEndedTimestamp\": null,\n      \"isPinned\": false,\n      \
             \"content\": {content},\n      \"author\": {author},\n      \"attachments\": [],\n      \"embeds\": [],\n      \
             \"stickers\": [],\n      \"reactions\": [],\n      \"mentions\": [],\n      {reference}\"inlineEmojis\": []\n    }}"
        )
        .into_bytes()
    }
}
