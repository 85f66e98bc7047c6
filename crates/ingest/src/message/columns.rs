//! The columns of one message, borrowed from its JSON.

use std::borrow::Cow;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use dce_snowflake::Snowflake;

use super::timestamp;
use crate::json::key_order::{Members, jsonb_order};
use crate::json::walk::{each_member, string};

/// One message. `raw` is everything DCE wrote; the other fields have columns of their own or are checked. A field without a
/// column never refuses a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub id: Snowflake,
    /// When the message was sent.
    pub timestamp: DateTime<Utc>,
    pub content: Option<Cow<'a, str>>,
    pub author_id: Option<Cow<'a, str>>,
    /// The author's name at the time of the export, not of the message.
    pub author_name: Option<Cow<'a, str>>,
    /// JSON object.
    pub author: Option<&'a str>,
    /// JSON array.
    pub attachments: Option<&'a str>,
    /// JSON array.
    pub embeds: Option<&'a str>,
    /// DCE's name of the message type in quotes, `"Default"` for example.
    pub kind: Option<&'a str>,
    /// Whether the author is a bot or a webhook.
    pub is_bot: bool,
    /// Time of the author's last edit in quotes, or `null`.
    pub edited: Option<&'a str>,
    pub is_pinned: bool,
    /// JSON array.
    pub stickers: Option<&'a str>,
    /// JSON array.
    pub reactions: Option<&'a str>,
    /// JSON array of users.
    pub mentions: Option<&'a str>,
    /// The forwarded message (DCE 2.47 and later).
    pub forwarded: Option<&'a str>,
    /// The message that this one replies or refers to: a JSON object.
    pub reference: Option<&'a str>,
    /// The whole message.
    pub raw: &'a str,
}

/// A message that cannot be stored. Never contains the message's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("a message is not a JSON object")]
    NotAnObject,
    #[error("a message has no usable `id`")]
    NoId,
    #[error("`{field}` of message {id} is missing or has the wrong type")]
    Field {
        id: Snowflake,
        /// Name of the field in DCE's document.
        field: &'static str,
    },
}

impl<'a> Message<'a> {
    /// Reads the members of a [`Frame::Message`](crate::document::frame::Frame::Message). Of equal keys the last value
    /// counts, as in `jsonb`.
    pub fn from_members(json: &'a str, members: Members<'a>) -> Result<Self, MessageError> {
        let mut fields = Fields::default();
        for (key, value) in members.iter() {
            fields.set(&string(key).ok_or(MessageError::NotAnObject)?, value);
        }
        let author_in_order = fields.author.is_some_and(|author| members.are_in_order_of(author));
        fields.read(json, author_in_order)
    }

    /// Reads a message whose members' positions are unknown. `json`: minified and valid.
    pub fn parse(json: &'a str) -> Result<Self, MessageError> {
        let mut fields = Fields::default();
        let walked = each_member(json, |key, value| {
            fields.set(key, value);
            ControlFlow::Continue(())
        });
        walked.ok_or(MessageError::NotAnObject)?;
        fields.read(json, false)
    }
}

/// The JSON of each field, unread, so that an error can name the field. `None`: missing or null.
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
    mentions: Option<&'a str>,
    forwarded: Option<&'a str>,
    reference: Option<&'a str>,
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
            "mentions" => &mut self.mentions,
            "forwardedMessage" => &mut self.forwarded,
            "reference" => &mut self.reference,
            _ => return,
        };
        *field = (value != "null").then_some(value);
    }

    /// `author_in_order`: the author's members are in `jsonb`'s order.
    fn read(self, json: &'a str, author_in_order: bool) -> Result<Message<'a>, MessageError> {
        let fields = self;
        let id: Snowflake =
            fields.id.and_then(string).and_then(|id| id.parse().ok()).ok_or(MessageError::NoId)?;
        let wrong = |field| MessageError::Field { id, field };
        let author = optional(fields.author, |author| Author::parse(author, author_in_order))
            .ok_or(wrong("author"))?
            .unwrap_or_default();
        Ok(Message {
            id,
            timestamp: fields.timestamp.and_then(time).ok_or(wrong("timestamp"))?,
            content: optional(fields.content, string).ok_or(wrong("content"))?,
            author_id: author.id,
            author_name: author.name,
            author: fields.author,
            attachments: fields.attachments,
            embeds: fields.embeds,
            kind: fields.kind,
            is_bot: author.is_bot,
            edited: fields.edited,
            is_pinned: fields.is_pinned == Some("true"),
            stickers: fields.stickers,
            reactions: fields.reactions,
            mentions: fields.mentions,
            forwarded: fields.forwarded,
            reference: fields.reference,
            raw: json,
        })
    }
}

#[derive(Default)]
struct Author<'a> {
    id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    is_bot: bool,
}

impl<'a> Author<'a> {
    /// `in_order`: the members are in `jsonb`'s order. `None`: not an object, or its id or name is not a string.
    fn parse(json: &'a str, in_order: bool) -> Option<Self> {
        let (mut id, mut name, mut is_bot) = (None, None, None);
        each_member(json, |key, value| {
            // Roles and pictures come later in jsonb's order and are longer than everything before them.
            if in_order && jsonb_order(key, "isBot").is_gt() {
                return ControlFlow::Break(());
            }
            match key {
                "id" => id = Some(value),
                "name" => name = Some(value),
                "isBot" => is_bot = Some(value),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        let text = |json: Option<&'a str>| optional(json.filter(|json| *json != "null"), string);
        Some(Self { id: text(id)?, name: text(name)?, is_bot: is_bot == Some("true") })
    }
}

/// Reads a field that may be missing. The outer `None` is an error: the field has another type.
#[expect(clippy::option_option, reason = "the outer one is the caller's error, the inner one its value")]
fn optional<'a, T>(json: Option<&'a str>, read: impl Fn(&'a str) -> Option<T>) -> Option<Option<T>> {
    json.map_or(Some(None), |json| read(json).map(Some))
}

fn time(json: &str) -> Option<DateTime<Utc>> {
    timestamp::parse(&string(json)?)
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
    fn missing_and_null_fields_are_none() {
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
    fn an_error_names_message_and_field_but_not_their_content() {
        for (field, value) in [
            ("timestamp", r#""secret""#),
            ("timestamp", r#""2024-07-03T09:46:40""#),
            ("timestamp", "null"),
            ("content", r#"["secret"]"#),
            ("author", r#""secret""#),
            ("author", r#"{"name":5}"#),
        ] {
            let error = Message::parse(&with(field, value)).unwrap_err();
            assert_eq!(error.to_string(), format!("`{field}` of message 1 is missing or has the wrong type"));
        }
        for (value, error) in [("5", MessageError::NoId), (r#""secret""#, MessageError::NoId)] {
            assert_eq!(Message::parse(&with("id", value)).unwrap_err(), error);
        }
        for json in ["", "[]", "{", r#"{"id":"1"}x"#] {
            assert_eq!(Message::parse(json).unwrap_err(), MessageError::NotAnObject, "{json}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let json = r#"{"id":"1","content":"a","id":"2","timestamp":"2024-07-03T09:46:40Z","content":"b"}"#;
        let message = Message::parse(json).unwrap();
        assert_eq!((message.id.get(), message.content.as_deref()), (2, Some("b")));
    }

    #[test]
    fn the_last_of_an_authors_equal_keys_counts_and_an_array_is_no_author() {
        let message =
            |author: &str| format!(r#"{{"id":"1","timestamp":"2024-01-01T00:00:00Z","author":{author}}}"#);
        let twice = message(r#"{"id":"7","name":"a","name":"b"}"#);
        assert_eq!(Message::parse(&twice).unwrap().author_name.as_deref(), Some("b"));
        assert!(Message::parse(&message(r#"["8","a",true]"#)).is_err());
    }
}
