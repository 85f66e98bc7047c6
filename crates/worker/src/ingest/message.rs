//! The columns of one message, borrowed from its JSON.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::frame::Members;
use super::members::jsonb_order;
use super::object::each_member;
use super::timestamp;

/// One message. What DCE wrote is in `raw`; the rest are the parts that have columns of their own or are looked at.
/// Those without a column are read as far as they are as expected, and refuse no message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The message's id, unique within its channel.
    pub id: Snowflake,
    /// When it was sent.
    pub timestamp: DateTime<Utc>,
    /// Its text.
    pub content: Option<Cow<'a, str>>,
    /// The author's id.
    pub author_id: Option<Cow<'a, str>>,
    /// The author's name as it was at the export, not at the message.
    pub author_name: Option<Cow<'a, str>>,
    /// The array of attachments.
    pub attachments: Option<&'a str>,
    /// The array of embeds.
    pub embeds: Option<&'a str>,
    /// DCE's name of its kind, quoted, `"Default"` for example.
    pub kind: Option<&'a str>,
    /// Whether a bot wrote it, or a webhook.
    pub is_bot: bool,
    /// When its author changed it last, quoted, or `null`.
    pub edited: Option<&'a str>,
    /// Whether it is pinned.
    pub is_pinned: bool,
    /// The array of stickers.
    pub stickers: Option<&'a str>,
    /// The array of reactions.
    pub reactions: Option<&'a str>,
    /// The message that it passes on (DCE 2.47 and later).
    pub forwarded: Option<&'a str>,
    /// The whole message.
    pub raw: &'a str,
}

/// Why a message cannot be stored. Says nothing of what the message says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not JSON, or not an object.
    #[error("a message is not a JSON object")]
    NotAnObject,
    /// `id` is missing or no Discord id.
    #[error("a message has no usable `id`")]
    NoId,
    /// Another field is missing or of an unexpected type.
    #[error("`{field}` of message {id} is missing or not of its type")]
    Field {
        /// The message.
        id: Snowflake,
        /// The field's name in DCE's document.
        field: &'static str,
    },
}

impl<'a> Message<'a> {
    /// Reads a message as [`Frame::Message`](super::frame::Frame::Message) brings it: minified and repaired.
    /// Of a key that is there twice the last value counts, as in `jsonb`.
    pub fn of(json: &'a str, members: Members<'a>) -> Result<Self, MessageError> {
        let mut fields = Fields::default();
        for (key, value) in members.iter() {
            if key.contains('\\') {
                let key: String = serde_json::from_str(key).map_err(|_| MessageError::NotAnObject)?;
                fields.set(&key, value);
            } else {
                fields.set(&key[1..key.len() - 1], value);
            }
        }
        let author_in_order = fields.author.is_some_and(|author| members.are_in_order_of(author));
        fields.read(json, author_in_order)
    }

    /// As [`Message::of`], when it is not known where the members are.
    pub fn parse(json: &'a str) -> Result<Self, MessageError> {
        let fields: Fields<'a> = serde_json::from_str(json).map_err(|_| MessageError::NotAnObject)?;
        fields.read(json, false)
    }
}

/// The fields that are looked at, unread, so that an error can name the one that is wrong. None: missing or null.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a str>,
    timestamp: Option<&'a str>,
    content: Option<&'a str>,
    author: Option<&'a str>,
    attachments: Option<&'a str>,
    embeds: Option<&'a str>,
    kind: Option<&'a str>,
    edited: Option<&'a str>,
    is_pinned: Option<&'a str>,
    stickers: Option<&'a str>,
    reactions: Option<&'a str>,
    forwarded: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &str, value: &'a str) {
        let field = match key {
            "id" => &mut self.id,
            "timestamp" => &mut self.timestamp,
            "content" => &mut self.content,
            "author" => &mut self.author,
            "attachments" => &mut self.attachments,
            "embeds" => &mut self.embeds,
            "type" => &mut self.kind,
            "timestampEdited" => &mut self.edited,
            "isPinned" => &mut self.is_pinned,
            "stickers" => &mut self.stickers,
            "reactions" => &mut self.reactions,
            "forwardedMessage" => &mut self.forwarded,
            _ => return,
        };
        *field = (value != "null").then_some(value);
    }

    /// `author_in_order`: the members of the author are in `jsonb`'s order.
    fn read(self, json: &'a str, author_in_order: bool) -> Result<Message<'a>, MessageError> {
        let fields = self;
        let id: Snowflake =
            fields.id.and_then(text).and_then(|id| id.parse().ok()).ok_or(MessageError::NoId)?;
        let wrong = |field| MessageError::Field { id, field };
        let author = optional(fields.author, |author| Author::of(author, author_in_order))
            .ok_or(wrong("author"))?
            .unwrap_or_default();
        Ok(Message {
            id,
            timestamp: fields.timestamp.and_then(time).ok_or(wrong("timestamp"))?,
            content: optional(fields.content, text).ok_or(wrong("content"))?,
            author_id: author.id,
            author_name: author.name,
            attachments: fields.attachments,
            embeds: fields.embeds,
            kind: fields.kind,
            is_bot: author.is_bot == Some("true"),
            edited: fields.edited,
            is_pinned: fields.is_pinned == Some("true"),
            stickers: fields.stickers,
            reactions: fields.reactions,
            forwarded: fields.forwarded,
            raw: json,
        })
    }
}

// By hand, because a derived implementation refuses a key that is there twice.
impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Text(key)) = map.next_key()? {
            fields.set(&key, map.next_value::<&'de RawValue>()?.get());
        }
        Ok(fields)
    }
}

#[derive(Default)]
struct Author<'a> {
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    is_bot: Option<&'a str>,
}

/// Those of an author's members that are looked at, unread. None: missing or null.
#[derive(Default)]
struct AuthorFields<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
    is_bot: Option<&'a str>,
}

impl<'a> Author<'a> {
    /// `in_order`: the members are in `jsonb`'s order. None: not an object, or a name or id that is not text.
    fn of(json: &'a str, in_order: bool) -> Option<Self> {
        let mut fields = AuthorFields::default();
        let found = each_member(json, |key, value| {
            // Roles and pictures come behind what is looked at, and are longer than that.
            if in_order && jsonb_order(key, "isBot").is_gt() {
                return ControlFlow::Break(());
            }
            fields.set(key, value);
            ControlFlow::Continue(())
        });
        if found.is_none() {
            fields = read(json)?;
        }
        Some(Self {
            id: optional(fields.id, text)?,
            name: optional(fields.name, text)?,
            is_bot: fields.is_bot,
        })
    }
}

impl<'a> AuthorFields<'a> {
    fn set(&mut self, key: &str, value: &'a str) {
        let field = match key {
            "id" => &mut self.id,
            "name" => &mut self.name,
            "isBot" => &mut self.is_bot,
            _ => return,
        };
        *field = (value != "null").then_some(value);
    }
}

// Like the message's own: of a key that is there twice the last value counts, and only an object is an author.
impl<'de: 'a, 'a> Deserialize<'de> for AuthorFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AuthorVisitor)
    }
}

struct AuthorVisitor;

impl<'de> Visitor<'de> for AuthorVisitor {
    type Value = AuthorFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an author")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = AuthorFields::default();
        while let Some(Text(key)) = map.next_key()? {
            fields.set(&key, map.next_value::<&'de RawValue>()?.get());
        }
        Ok(fields)
    }
}

/// Text borrowed from the JSON unless an escape stands in it. serde borrows a `Cow` only when told so, and
/// inside an `Option` it cannot be told.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// The text of a JSON string, which nearly always stands there as it is.
fn text(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        read::<Text<'_>>(json).map(|text| text.0)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// What may be missing, but not be of another type: `None` is an error.
#[expect(clippy::option_option, reason = "the outer one is the caller's error, the inner one its value")]
fn optional<'a, T>(json: Option<&'a str>, read: impl Fn(&'a str) -> Option<T>) -> Option<Option<T>> {
    json.map_or(Some(None), |json| read(json).map(Some))
}

fn time(json: &str) -> Option<DateTime<Utc>> {
    timestamp::utc(&text(json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(field: &str, value: &str) -> String {
        let mut message = serde_json::json!({"id": "1", "timestamp": "2024-07-03T09:46:40Z", "content": ""});
        message[field] = serde_json::from_str(value).unwrap();
        message.to_string()
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let json = r#"{"id":"7","timestamp":"2024-07-03T09:46:40+00:00","content":"길드","author":{"id":"8","name":"a\nb","roles":[]},"attachments":[{"id":"9"}],"embeds":[]}"#;
        let message = Message::parse(json).unwrap();
        assert_eq!(message.id, Snowflake::new(7));
        assert!(matches!(message.content, Some(Cow::Borrowed("길드"))));
        assert!(matches!(message.author_id, Some(Cow::Borrowed("8"))));
        assert_eq!(message.author_name.as_deref(), Some("a\nb"));
        assert_eq!(message.attachments, Some(r#"[{"id":"9"}]"#));
        assert_eq!(message.embeds, Some("[]"));
        assert_eq!(message.raw, json);
    }

    #[test]
    fn what_is_missing_or_null_is_none() {
        for json in [
            r#"{"timestamp":"2024-07-03T09:46:40Z","id":"1"}"#,
            r#"{"timestamp":"2024-07-03T09:46:40Z","id":"1","content":null,"author":null,"attachments":null,"embeds":null}"#,
            r#"{"timestamp":"2024-07-03T09:46:40Z","id":"1","author":{"id":null}}"#,
        ] {
            let message = Message::parse(json).unwrap();
            assert!(
                message.content.is_none() && message.author_id.is_none() && message.author_name.is_none()
            );
            assert!(message.attachments.is_none() && message.embeds.is_none());
        }
    }

    #[test]
    fn times_have_any_offset_and_up_to_seven_digits_of_a_second() {
        for (text, expected) in [
            ("2024-07-03T09:46:40+00:00", "2024-07-03T09:46:40Z"),
            ("2024-07-03T18:46:40.876+09:00", "2024-07-03T09:46:40.876Z"),
            ("2024-07-03T05:46:40.1234567-04:00", "2024-07-03T09:46:40.1234567Z"),
            ("2024-07-03T15:16:40.5Z", "2024-07-03T15:16:40.5Z"),
        ] {
            let json = with("timestamp", &format!("{text:?}"));
            let expected: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(Message::parse(&json).unwrap().timestamp, expected, "{text}");
        }
    }

    #[test]
    fn an_error_names_message_and_field_but_not_what_they_say() {
        for (field, value) in [
            ("timestamp", r#""secret""#),
            ("timestamp", r#""2024-07-03T09:46:40""#),
            ("timestamp", "null"),
            ("content", r#"["secret"]"#),
            ("author", r#""secret""#),
            ("author", r#"{"name":5}"#),
        ] {
            let error = Message::parse(&with(field, value)).unwrap_err();
            assert_eq!(error.to_string(), format!("`{field}` of message 1 is missing or not of its type"));
        }
        for (value, error) in [("5", MessageError::NoId), (r#""secret""#, MessageError::NoId)] {
            assert_eq!(Message::parse(&with("id", value)).unwrap_err(), error);
        }
        for json in ["", "[]", "{", r#"{"id":"1"}x"#] {
            assert_eq!(Message::parse(json).unwrap_err(), MessageError::NotAnObject, "{json}");
        }
    }

    #[test]
    fn of_a_key_that_is_there_twice_the_last_counts() {
        let json = r#"{"id":"1","content":"a","id":"2","timestamp":"2024-07-03T09:46:40Z","content":"b"}"#;
        let message = Message::parse(json).unwrap();
        assert_eq!((message.id.get(), message.content.as_deref()), (2, Some("b")));
    }

    #[test]
    fn of_an_authors_key_that_is_there_twice_the_last_counts_and_an_array_is_no_author() {
        let message =
            |author: &str| format!(r#"{{"id":"1","timestamp":"2024-01-01T00:00:00Z","author":{author}}}"#);
        let twice = message(r#"{"id":"7","name":"a","name":"b"}"#);
        assert_eq!(Message::parse(&twice).unwrap().author_name.as_deref(), Some("b"));
        assert!(Message::parse(&message(r#"["8","a",true]"#)).is_err());
    }
}
