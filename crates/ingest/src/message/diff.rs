//! Decides whether two versions of a message differ.
//!
//! Two exports of one message are never the same bytes: Discord signs the URLs of files anew for each export, and authors
//! and users of reactions appear as they are today. A message has changed if one of these has: text, time of the last edit,
//! pin, embeds, files, reactions.

use chrono::{DateTime, FixedOffset};
use serde::Deserialize;
use serde_json::Value;

use super::columns::Message;

/// Hosts that sign their URLs: the query belongs to the export, not to the message.
const SIGNED: [&str; 2] = ["https://cdn.discordapp.com/", "https://media.discordapp.net/"];

/// The compared fields, unread. Arrays are JSON; `None` is missing or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version<'a> {
    pub content: Option<&'a str>,
    /// Time of the last edit as text.
    pub edited: Option<&'a str>,
    pub is_pinned: bool,
    pub attachments: Option<&'a str>,
    pub embeds: Option<&'a str>,
    pub reactions: Option<&'a str>,
}

impl<'a> From<&'a Message<'_>> for Version<'a> {
    fn from(message: &'a Message<'_>) -> Self {
        Self {
            content: message.content.as_deref(),
            // DCE's times need no escapes.
            edited: message.edited.and_then(|json| json.strip_prefix('"')?.strip_suffix('"')),
            is_pinned: message.is_pinned,
            attachments: message.attachments,
            embeds: message.embeds,
            reactions: message.reactions,
        }
    }
}

impl Version<'_> {
    /// Whether the two versions of the message differ.
    pub fn differs(&self, other: &Self) -> bool {
        self.content != other.content
            || self.is_pinned != other.is_pinned
            || differ(self.edited, other.edited, time)
            || differ(self.attachments, other.attachments, files)
            || differ(self.embeds, other.embeds, unsigned)
            || differ(self.reactions, other.reactions, counted)
    }
}

/// Compares the texts first: equal texts have equal meanings, different texts may.
fn differ<'a, T: PartialEq>(
    one: Option<&'a str>,
    other: Option<&'a str>,
    meaning: impl Fn(&'a str) -> T,
) -> bool {
    one != other && one.map(&meaning) != other.map(&meaning)
}

/// A time in any zone; other text is compared unchanged.
fn time(text: &str) -> Result<DateTime<FixedOffset>, &str> {
    DateTime::parse_from_rfc3339(text).map_err(|_| text)
}

/// The paths of the files, in order.
fn files(json: &str) -> Vec<Value> {
    let path = |file: Value| match file.get("url").and_then(Value::as_str) {
        Some(url) => Value::from(path_of(url)),
        None => file,
    };
    elements(json).into_iter().map(path).collect()
}

/// The URL without host and query: Discord serves a file from several hosts.
fn path_of(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or(rest, |at| &rest[at..]),
        None => url,
    }
}

/// The elements with the signatures of their URLs removed.
fn unsigned(json: &str) -> Vec<Value> {
    let mut values = elements(json);
    values.iter_mut().for_each(unsign);
    values
}

fn unsign(value: &mut Value) {
    match value {
        Value::String(text) if SIGNED.iter().any(|host| text.starts_with(host)) => {
            if let Some(query) = text.find('?') {
                text.truncate(query);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unsign),
        Value::Object(fields) => fields.values_mut().for_each(unsign),
        _ => {}
    }
}

/// Each emoji with its count, in any order and without its users.
fn counted(json: &str) -> Result<Vec<(String, u64)>, Vec<Value>> {
    #[derive(Deserialize)]
    struct Reaction {
        emoji: Emoji,
        count: u64,
    }
    #[derive(Deserialize)]
    struct Emoji {
        /// Empty or null for a standard emoji, whose name is the emoji itself.
        id: Option<String>,
        name: Option<String>,
    }
    let Ok(reactions) = serde_json::from_str::<Vec<Reaction>>(json) else { return Err(elements(json)) };
    let emoji = |emoji: Emoji| emoji.id.filter(|id| !id.is_empty()).or(emoji.name).unwrap_or_default();
    let mut counts: Vec<_> =
        reactions.into_iter().map(|reaction| (emoji(reaction.emoji), reaction.count)).collect();
    counts.sort_unstable();
    Ok(counts)
}

/// The elements of an array; anything else as the only element.
fn elements(json: &str) -> Vec<Value> {
    match serde_json::from_str(json) {
        Ok(Value::Array(elements)) => elements,
        Ok(other) => vec![other],
        Err(_) => vec![Value::from(json)],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message() -> Value {
        json!({
            "id": "7", "timestamp": "2024-07-03T09:46:40+00:00", "timestampEdited": "2024-07-03T10:00:00.5+00:00",
            "isPinned": false, "content": "hello", "stickers": [],
            "author": { "id": "8", "name": "a", "nickname": "A", "avatarUrl": "https://cdn.discordapp.com/avatars/8/x.png" },
            "attachments": [
                { "id": "9", "url": "https://cdn.discordapp.com/attachments/1/9/a.png?ex=1&is=2&hm=3&", "fileName": "a.png" },
                { "id": "10", "url": "https://cdn.discordapp.com/attachments/1/10/b.png?ex=1", "fileName": "b.png" },
            ],
            "embeds": [{ "title": "t", "fields": [], "color": "#2ECC71",
                         "image": { "url": "https://cdn.discordapp.com/attachments/1/9/a.png?ex=1", "width": 2 } }],
            "reactions": [
                { "emoji": { "id": "", "name": "👍", "code": "thumbsup" }, "count": 2, "users": [{ "id": "8", "name": "a" }] },
                { "emoji": { "id": "55", "name": "party" }, "count": 1, "users": [] },
            ],
        })
    }

    /// Whether the message differs from one with this field changed.
    fn changed(pointer: &str, value: Value) -> bool {
        let mut after = message();
        *after.pointer_mut(pointer).unwrap() = value;
        let (before, after) = (message().to_string(), after.to_string());
        let (before, after) = (Message::parse(&before).unwrap(), Message::parse(&after).unwrap());
        let (before, after) = (Version::from(&before), Version::from(&after));
        assert_eq!(before.differs(&after), after.differs(&before), "{pointer}");
        before.differs(&after)
    }

    #[test]
    fn changes_of_content_count() {
        for (pointer, value) in [
            ("/content", json!("hello!")),
            ("/content", Value::Null),
            ("/timestampEdited", json!("2024-07-03T10:00:01+00:00")),
            ("/timestampEdited", Value::Null),
            ("/isPinned", json!(true)),
            ("/attachments/0/url", json!("https://cdn.discordapp.com/attachments/1/9/c.png?ex=1&is=2&hm=3&")),
            ("/attachments", json!([])),
            ("/attachments", Value::Null),
            ("/embeds/0/title", json!("u")),
            ("/embeds/0/image/width", json!(3)),
            ("/embeds/0/image/url", json!("https://example.org/a.png?ex=1")),
            ("/embeds", json!([])),
            ("/reactions/0/count", json!(3)),
            ("/reactions/0/emoji/name", json!("👎")),
            ("/reactions/1/emoji/id", json!("56")),
            ("/reactions", json!([])),
        ] {
            assert!(changed(pointer, value.clone()), "{pointer}: {value}");
        }
        let mut swapped = message()["attachments"].clone();
        swapped.as_array_mut().unwrap().reverse();
        assert!(changed("/attachments", swapped), "in another order");
    }

    #[test]
    fn changes_of_appearance_do_not_count() {
        for (pointer, value) in [
            ("/author/avatarUrl", json!("https://cdn.discordapp.com/avatars/8/y.png")),
            ("/author/nickname", json!("B")),
            ("/timestampEdited", json!("2024-07-03T19:00:00.500+09:00")),
            (
                "/attachments/0/url",
                json!("https://media.discordapp.net/attachments/1/9/a.png?ex=7&is=8&hm=9&"),
            ),
            ("/embeds/0/image/url", json!("https://cdn.discordapp.com/attachments/1/9/a.png?ex=7")),
            ("/embeds/0/image/url", json!("https://cdn.discordapp.com/attachments/1/9/a.png")),
            ("/reactions/0/users", json!([{ "id": "9", "name": "b" }])),
            ("/reactions/0/emoji/code", json!("+1")),
            ("/reactions/1/emoji/name", json!("renamed")),
        ] {
            assert!(!changed(pointer, value.clone()), "{pointer}: {value}");
        }
        let mut swapped = message()["reactions"].clone();
        swapped.as_array_mut().unwrap().reverse();
        assert!(!changed("/reactions", swapped), "in another order");
    }

    #[test]
    fn the_order_and_layout_of_keys_do_not_count() {
        let json = message().to_string();
        let parsed = Message::parse(&json).unwrap();
        let stored: Value = message()["embeds"].clone();
        let spaced = serde_json::to_string_pretty(&stored).unwrap();
        let version = Version::from(&parsed);
        assert!(!version.differs(&Version { embeds: Some(&spaced), ..version }));
        let turned = r##"[{"image":{"width":2,"url":"https://cdn.discordapp.com/attachments/1/9/a.png?ex=1"},"color":"#2ECC71","fields":[],"title":"t"}]"##;
        assert!(!version.differs(&Version { embeds: Some(turned), ..version }));
    }

    #[test]
    fn unexpected_values_are_compared_unchanged() {
        for (pointer, value) in [
            ("/reactions", json!("none")),
            ("/reactions/0/count", json!("2")),
            ("/attachments/0", json!(5)),
            ("/embeds", json!({})),
        ] {
            assert!(changed(pointer, value.clone()), "{pointer}: {value}");
            let mut odd = message();
            *odd.pointer_mut(pointer).unwrap() = value;
            let json = odd.to_string();
            let (one, other) = (Message::parse(&json).unwrap(), Message::parse(&json).unwrap());
            assert!(!Version::from(&one).differs(&Version::from(&other)));
        }
    }
}
