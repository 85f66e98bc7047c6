//! The few fields of a message that a proof needs, read from any object that Discord may send.

use std::fmt;

use dce_snowflake::Snowflake;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A message's identity. A field that is missing, null or not in one of the forms that Discord uses is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageStub {
    pub id: Option<Snowflake>,
    /// Discord's `type`.
    pub kind: Option<u64>,
    pub author_id: Option<Snowflake>,
    /// `message_reference.message_id`.
    pub reference: Option<Snowflake>,
}

impl MessageStub {
    /// Reads one message; what is no object gives a stub without fields.
    pub(crate) fn read(json: &RawValue) -> Self {
        let fields: Fields = serde_json::from_str(json.get()).unwrap_or_default();
        Self {
            id: fields.id.and_then(number).map(Snowflake::new),
            kind: fields.kind.and_then(number),
            author_id: fields.author.and_then(|author| Self::nested(author).id),
            reference: fields.reference.and_then(|reference| Self::nested(reference).message_id),
        }
    }

    fn nested(json: &RawValue) -> Nested {
        let fields: Fields = serde_json::from_str(json.get()).unwrap_or_default();
        Nested {
            id: fields.id.and_then(number).map(Snowflake::new),
            message_id: fields.message_id.and_then(number).map(Snowflake::new),
        }
    }
}

/// Reads a page. The text is [repaired](crate::lone_surrogates) already.
pub(crate) fn read_page(json: &str) -> serde_json::Result<Vec<MessageStub>> {
    let messages: Vec<&RawValue> = serde_json::from_str(json)?;
    Ok(messages.into_iter().map(MessageStub::read).collect())
}

/// Reads the answer to a question for one message.
pub(crate) fn read_message(json: &str) -> serde_json::Result<MessageStub> {
    serde_json::from_str(json).map(MessageStub::read)
}

struct Nested {
    id: Option<Snowflake>,
    message_id: Option<Snowflake>,
}

/// The fields of a message, its author and its reference, unread. Written by hand because a derived reader refuses an
/// object that has a field twice; here the last one counts, as for DCE.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    author: Option<&'a RawValue>,
    reference: Option<&'a RawValue>,
    message_id: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let field = match name.as_str() {
                "id" => &mut fields.id,
                "type" => &mut fields.kind,
                "author" => &mut fields.author,
                "message_reference" => &mut fields.reference,
                "message_id" => &mut fields.message_id,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = Some(map.next_value()?);
        }
        Ok(fields)
    }
}

/// A number, or a text of digits as ids are.
fn number(json: &RawValue) -> Option<u64> {
    let text = json.get();
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    // Snowflake's rule: digits alone, without the sign that u64's own parser takes.
    digits.parse::<Snowflake>().ok().map(Snowflake::get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lone_surrogates::repair;

    fn stub(json: &str) -> MessageStub {
        read_message(&repair(json.as_bytes())).unwrap()
    }

    #[test]
    fn the_fields_of_a_message_are_read() {
        let json = r#"{"id":"7","type":21,"author":{"id":"8","username":"\ud83d"},"content":"\ude00",
            "message_reference":{"type":0,"message_id":"9","channel_id":"1"},"referenced_message":{"id":"9"}}"#;
        let id = |id| Some(Snowflake::new(id));
        assert_eq!(stub(json), MessageStub { id: id(7), kind: Some(21), author_id: id(8), reference: id(9) });
    }

    #[test]
    fn ids_may_be_numbers_and_fields_may_be_missing_null_or_odd() {
        assert_eq!(stub(r#"{"id":5}"#).id, Some(Snowflake::new(5)));
        for json in [
            "{}",
            "null",
            "5",
            "[]",
            r#"{"id":null,"type":null,"author":null,"message_reference":null}"#,
            r#"{"id":"x","type":"Default","author":"x","message_reference":[]}"#,
            r#"{"id":"\ud83d","type":1.5,"author":{"id":-1},"message_reference":{"message_id":{}}}"#,
            r#"{"id":"18446744073709551616","\ud83d":1}"#,
        ] {
            assert_eq!(stub(json), MessageStub::default(), "{json}");
        }
    }

    #[test]
    fn of_a_field_that_comes_twice_the_last_counts() {
        assert_eq!(stub(r#"{"id":"1","id":"2"}"#).id, Some(Snowflake::new(2)));
    }

    #[test]
    fn deep_nesting_is_no_obstacle() {
        let deep = format!(r#"{{"x":{}{},"id":"1"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(stub(&deep).id, Some(Snowflake::new(1)));
    }

    #[test]
    fn a_page_is_an_array() {
        assert_eq!(read_page("[]").unwrap(), []);
        assert_eq!(read_page(r#"[{"id":"1"},null]"#).unwrap().len(), 2);
        assert!(read_page("{}").is_err());
        assert!(read_page(r#"[{"id":"1"}"#).unwrap_err().is_eof());
    }
}
