//! A reference reader: reads a whole document with `serde_json`, all of it in memory.

use std::fmt;

use dce_ingest::document::frame::FrameError;
use dce_ingest::document::framer::MAX_MESSAGE_BYTES;
use dce_snowflake::Snowflake;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The content of a document that is JSON from its first to its last byte.
#[derive(Debug)]
pub struct Reference<'a> {
    /// The messages before the first that is not an object.
    pub messages: Vec<&'a RawValue>,
    /// The document's `messageCount`, or its first mistake.
    pub outcome: Result<Option<u64>, FrameError>,
}

impl<'a> Reference<'a> {
    /// Reads a document in [strict](crate::strict) JSON. `None`: it is not JSON.
    pub fn read(text: &'a str) -> Option<Self> {
        let root: &RawValue = serde_json::from_str(text).ok()?;
        let mut messages = Vec::new();
        let outcome = match serde_json::from_str::<Entries<'a>>(root.get()) {
            Ok(Entries(entries)) => read(&entries, &mut messages),
            Err(_) => Err(FrameError::NotAnObject),
        };
        Some(Self { messages, outcome })
    }
}

fn read<'a>(
    entries: &[(String, &'a RawValue)],
    messages: &mut Vec<&'a RawValue>,
) -> Result<Option<u64>, FrameError> {
    let at = entries.iter().position(|(key, _)| key == "messages").ok_or(FrameError::NoMessages)?;
    let (head, tail) = (&entries[..at], &entries[at + 1..]);
    let array: Vec<&RawValue> =
        serde_json::from_str(entries[at].1.get()).map_err(|_| FrameError::MessagesNotAnArray)?;

    let head = properties(head)?;
    let head_count = message_count(&head)?;
    let channel_id = head.get("channel").and_then(|channel| channel["id"].as_str());
    if channel_id.is_none_or(|id| id.parse::<Snowflake>().is_err()) {
        return Err(FrameError::NoChannel);
    }
    for (index, message) in (0..).zip(array) {
        if !message.get().starts_with('{') {
            return Err(FrameError::MessageNotAnObject { index });
        }
        messages.push(message);
    }
    if tail.iter().any(|(key, _)| key == "messages") {
        return Err(FrameError::MessagesTwice);
    }
    let count = message_count(&properties(tail)?)?.or(head_count);
    let found = messages.len() as u64;
    match count {
        Some(declared) if declared != found => Err(FrameError::CountMismatch { declared, found }),
        _ => Ok(count),
    }
}

fn properties(entries: &[(String, &RawValue)]) -> Result<Map<String, Value>, FrameError> {
    let read = |json: &RawValue| serde_json::from_str(json.get());
    entries
        .iter()
        .map(|(key, json)| Ok((key.clone(), read(json).map_err(|_| FrameError::UnreadableProperties)?)))
        .collect()
}

fn message_count(properties: &Map<String, Value>) -> Result<Option<u64>, FrameError> {
    match properties.get("messageCount") {
        None | Some(Value::Null) => Ok(None),
        Some(count) => count.as_u64().map(Some).ok_or(FrameError::CountUnreadable),
    }
}

/// Empties the `users` of a message's reactions and returns their number. Of a repeated key, only the last value is known
/// here.
pub fn drop_users(message: &mut Value) -> u64 {
    let reactions = message.get_mut("reactions").and_then(Value::as_array_mut).into_iter().flatten();
    reactions
        .filter_map(|reaction| reaction.get_mut("users")?.as_array_mut())
        .map(|users| users.drain(..).len() as u64)
        .sum()
}

/// Whether a part of a document of `len` bytes may exceed a size limit. A raw control character takes six bytes when it is
/// escaped, and a few bytes replace the messages.
pub fn may_exceed(limit: usize, len: usize) -> bool {
    limit <= MAX_MESSAGE_BYTES && len.saturating_mul(6) + 64 > limit
}

/// An object's entries in their order, including repeated keys.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
