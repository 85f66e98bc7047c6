//! The parts of Discord's objects that decide what DCE does next.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};
use dce_standin::snowflake::Snowflake;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A thread's starter in the thread's own history.
const PLACEHOLDER: i64 = 21;
const FORUM: i64 = 15;
const CATEGORY: i64 = 4;

#[derive(Debug, Deserialize)]
pub(crate) struct Channel {
    pub(crate) id: String,
    #[serde(rename = "type")]
    kind: i64,
    /// None: direct messages.
    pub(crate) guild_id: Option<String>,
    pub(crate) parent_id: Option<String>,
    #[serde(default, deserialize_with = "optional_id")]
    pub(crate) last_message_id: Option<Snowflake>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    #[serde(deserialize_with = "id")]
    pub(crate) id: Snowflake,
    #[serde(rename = "type")]
    kind: i64,
    pub(crate) timestamp: DateTime<FixedOffset>,
    author: WithId,
    content: Option<String>,
    #[serde(default)]
    attachments: Vec<IgnoredAny>,
    #[serde(default)]
    embeds: Vec<IgnoredAny>,
    #[serde(default)]
    sticker_items: Vec<IgnoredAny>,
    #[serde(default)]
    mentions: Vec<WithId>,
    #[serde(default)]
    pub(crate) reactions: Vec<Reaction>,
    #[serde(rename = "message_reference")]
    reference: Option<Reference>,
    #[serde(rename = "referenced_message")]
    replied_to: Option<WithAuthor>,
    interaction: Option<WithUser>,
    /// What DCE writes for it: only a fake Discord has this field.
    pub(crate) dce: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WithId {
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
struct WithAuthor {
    author: WithId,
}

#[derive(Debug, Deserialize)]
struct WithUser {
    user: WithId,
}

#[derive(Debug, Deserialize)]
struct Reference {
    channel_id: Option<String>,
    message_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Reaction {
    pub(crate) emoji: Emoji,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Emoji {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Application {
    #[serde(default)]
    flags: u64,
}

impl Channel {
    pub(crate) fn is_forum(&self) -> bool {
        self.kind == FORUM
    }

    pub(crate) fn is_category(&self) -> bool {
        self.kind == CATEGORY
    }
}

impl Message {
    /// Whether DCE would see the same if the bot might not see contents.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.as_deref().unwrap_or_default().trim().is_empty()
            && self.attachments.is_empty()
            && self.embeds.is_empty()
            && self.sticker_items.is_empty()
    }

    /// Channel and id of the message that this one is the placeholder of.
    pub(crate) fn starter(&self) -> Option<(&str, &str)> {
        let reference = self.reference.as_ref().filter(|_| self.kind == PLACEHOLDER)?;
        Some((reference.channel_id.as_deref()?, reference.message_id.as_deref()?))
    }

    /// The users whose nickname and colour DCE asks for, in its order.
    pub(crate) fn users(&self) -> impl Iterator<Item = &str> {
        let replied_to = self.replied_to.iter().map(|message| &message.author);
        let interacting = self.interaction.iter().map(|interaction| &interaction.user);
        let users = std::iter::once(&self.author).chain(&self.mentions).chain(replied_to).chain(interacting);
        users.map(|user| user.id.as_str())
    }
}

impl Emoji {
    /// As in the path of a request: `name:id` of a custom one, else the name, escaped.
    pub(crate) fn escaped(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        let text = self.id.as_ref().map_or_else(|| name.to_owned(), |id| format!("{name}:{id}"));
        let mut escaped = String::new();
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                escaped.push(char::from(byte));
            } else {
                let _ = write!(escaped, "%{byte:02X}"); // writing to a string cannot fail
            }
        }
        escaped
    }
}

impl Application {
    /// Whether the bot may see the contents of messages.
    pub(crate) fn has_message_content(&self) -> bool {
        const INTENT: u64 = 1 << 18;
        const INTENT_LIMITED: u64 = 1 << 19;
        self.flags & (INTENT | INTENT_LIMITED) != 0
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Snowflake, D::Error> {
    let digits = String::deserialize(deserializer)?;
    digits.parse().map(Snowflake).map_err(serde::de::Error::custom)
}

fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Snowflake>, D::Error> {
    let digits = Option::<String>::deserialize(deserializer)?;
    digits.map(|digits| digits.parse().map(Snowflake).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::{Emoji, Message};

    #[test]
    fn an_emoji_is_escaped_as_in_the_recorded_requests() {
        let custom = Emoji { id: Some("700000000000000003".into()), name: Some("blob".into()) };
        assert_eq!(custom.escaped(), "blob%3A700000000000000003");
        let standard = Emoji { id: None, name: Some("\u{1F44D}".into()) };
        assert_eq!(standard.escaped(), "%F0%9F%91%8D");
    }

    #[test]
    fn only_a_placeholder_has_a_starter() {
        let message = |kind: u8| -> Message {
            serde_json::from_str(&format!(
                r#"{{"id": "9", "type": {kind}, "timestamp": "2024-07-03T09:46:40.000000+00:00", "author": {{"id": "1"}},
                    "mentions": [{{"id": "2"}}], "referenced_message": {{"author": {{"id": "3"}}}}, "content": " ",
                    "message_reference": {{"channel_id": "7", "message_id": "8"}}}}"#
            ))
            .unwrap()
        };
        assert_eq!(message(21).starter(), Some(("7", "8")));
        assert_eq!(message(19).starter(), None);
        assert_eq!(message(0).users().collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!(message(0).is_empty());
    }
}
