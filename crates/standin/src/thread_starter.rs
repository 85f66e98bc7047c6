//! Threads that were begun from a message: their history starts with an empty placeholder, which refers to that message
//! in the parent channel. DCE 2.47 writes the placeholder, 2.48 the message itself if the parent has it.

use std::io;

use dce_standin::header::Header;
use dce_standin::scenario::DceVersion;
use dce_standin::snowflake::Snowflake;
use dce_standin::source::{ListedMessages, Messages};
use serde::Deserialize;

use crate::loaded_scenario::LoadedScenario;

/// The placeholder's type in 2.48 and in 2.47, which does not know its name.
const TYPES: [&[u8]; 2] = [b"ThreadStarterMessage", b"21"];
const BEFORE_TYPE: &[u8] = b"\",\n      \"type\": \"";

/// The message that a placeholder refers to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) channel: String,
    pub(crate) message: Snowflake,
}

#[derive(Deserialize)]
struct Placeholder {
    reference: Option<PlaceholderReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlaceholderReference {
    message_id: Option<String>,
    channel_id: Option<String>,
}

/// Where the type of a placeholder is, in DCE's JSON. None: another message.
fn placeholder_type(message: &[u8]) -> Option<std::ops::Range<usize>> {
    // The type is in the second line, after the id.
    let beginning = &message[..message.len().min(100)];
    let start =
        beginning.windows(BEFORE_TYPE.len()).position(|window| window == BEFORE_TYPE)? + BEFORE_TYPE.len();
    let length = message[start..].iter().position(|&byte| byte == b'"')?;
    TYPES.contains(&&message[start..start + length]).then_some(start..start + length)
}

/// What a message refers to if it is a placeholder.
pub(crate) fn reference(message: &[u8]) -> Option<Reference> {
    placeholder_type(message)?;
    let placeholder: Placeholder = serde_json::from_slice(message).ok()?;
    let reference = placeholder.reference?;
    let message = reference.message_id?.parse().map(Snowflake).ok()?;
    Some(Reference { channel: reference.channel_id?, message })
}

/// Gives a placeholder the type that this version writes; other messages stay as they are.
pub(crate) fn rename_placeholder(message: &mut Vec<u8>, version: DceVersion) {
    if let Some(range) = placeholder_type(message) {
        let name = match version {
            DceVersion::V2_47 => TYPES[1],
            DceVersion::V2_48 => TYPES[0],
        };
        message.splice(range, name.iter().copied());
    }
}

/// The messages of a channel with its starter as the imitated version writes it.
pub(crate) struct WithStarter<'a> {
    pub(crate) messages: Box<dyn Messages>,
    /// Holds the parent.
    pub(crate) loaded: &'a LoadedScenario,
}

impl WithStarter<'_> {
    /// Reads the message from its channel, if the scenario has both.
    fn resolve(&self, reference: &Reference) -> io::Result<Option<Vec<u8>>> {
        let Some(parent) = self.loaded.scenario.channels.get(&reference.channel) else { return Ok(None) };
        let Some(messages) = ListedMessages::open(&reference.channel, &parent.source, &self.loaded.dir)?
        else {
            return Ok(None);
        };
        let number = messages.count_below(reference.message);
        if number >= messages.count() || messages.id(number) != reference.message {
            return Ok(None);
        }
        let mut starter = Vec::new();
        messages.read(number, &mut starter)?;
        Ok(Some(starter))
    }
}

impl Messages for WithStarter<'_> {
    fn header(&self) -> &Header {
        self.messages.header()
    }

    fn ends(&self) -> Option<(Snowflake, Snowflake)> {
        self.messages.ends()
    }

    /// Returns the placeholder's id even where `buffer` gets the starter: it decides whether the message is selected.
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Snowflake>> {
        let start = buffer.len();
        let id = self.messages.next(buffer)?;
        if placeholder_type(&buffer[start..]).is_some() {
            let mut message = buffer.split_off(start);
            let version = self.loaded.scenario.version;
            let starter = match reference(&message) {
                Some(reference) if version == DceVersion::V2_48 => self.resolve(&reference)?,
                _ => None,
            };
            rename_placeholder(&mut message, version);
            buffer.append(&mut starter.unwrap_or(message));
        }
        Ok(id)
    }

    fn skip_to(&mut self, after: Snowflake) {
        self.messages.skip_to(after);
    }
}

#[cfg(test)]
mod tests {
    use dce_standin::scenario::DceVersion;
    use dce_standin::snowflake::Snowflake;

    use super::{Reference, reference, rename_placeholder};

    fn message(kind: &str) -> Vec<u8> {
        format!(
            "    {{\n      \"id\": \"1258013914562560000\",\n      \"type\": \"{kind}\",\n      \"content\": \"\",\n      \
             \"reference\": {{\n        \"messageId\": \"5\",\n        \"channelId\": \"7\"\n      }}\n    }}"
        )
        .into_bytes()
    }

    #[test]
    fn a_placeholder_refers_to_its_starter_under_both_names() {
        for kind in ["21", "ThreadStarterMessage"] {
            let expected = Reference { channel: "7".into(), message: Snowflake(5) };
            assert_eq!(reference(&message(kind)), Some(expected));
        }
        assert_eq!(reference(&message("Reply")), None);
    }

    #[test]
    fn each_version_writes_its_own_name_for_a_placeholder() {
        for (version, kind) in [(DceVersion::V2_47, "21"), (DceVersion::V2_48, "ThreadStarterMessage")] {
            for from in ["21", "ThreadStarterMessage"] {
                let mut placeholder = message(from);
                rename_placeholder(&mut placeholder, version);
                assert_eq!(placeholder, message(kind));
            }
            let mut other = message("Default");
            rename_placeholder(&mut other, version);
            assert_eq!(other, message("Default"));
        }
    }
}
