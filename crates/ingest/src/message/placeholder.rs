//! The message that stands for a thread's starter.
//!
//! The history of a thread that was begun from a message opens with an empty placeholder; the starter itself is in the
//! parent, and has the thread's id. DCE 2.47 writes the placeholder. DCE 2.48 writes the starter in its place, and the
//! placeholder only if the starter cannot be read.

use std::ops::ControlFlow;

use dce_snowflake::Snowflake;

use super::columns::Message;
use crate::json::walk::{each_member, string};

/// A placeholder and the starter that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placeholder {
    pub id: Snowflake,
    pub starter: Option<Snowflake>,
}

impl Placeholder {
    /// `None`: the message is not a placeholder.
    pub fn find(message: &Message<'_>) -> Option<Self> {
        // 2.47 writes the number, 2.48 the name.
        if !matches!(message.kind, Some(r#""21""# | r#""ThreadStarterMessage""#)) {
            return None;
        }
        Some(Self { id: message.id, starter: message.reference.and_then(message_id) })
    }
}

fn message_id(reference: &str) -> Option<Snowflake> {
    let mut id = None;
    each_member(reference, |key, value| {
        if key == "messageId" {
            id = string(value).and_then(|id| id.parse().ok());
        }
        ControlFlow::Continue(())
    })?;
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholder(fields: &str) -> Option<Placeholder> {
        let json = format!(r#"{{"id":"9","timestamp":"2024-07-03T09:46:40Z",{fields}}}"#);
        Placeholder::find(&Message::parse(&json).unwrap())
    }

    #[test]
    fn both_names_of_the_type_are_placeholders_and_no_other() {
        let reference = r#""reference":{"type":"Default","messageId":"7","channelId":"5"}"#;
        let expected = Placeholder { id: Snowflake::new(9), starter: Some(Snowflake::new(7)) };
        for kind in ["21", "ThreadStarterMessage"] {
            assert_eq!(placeholder(&format!(r#""type":"{kind}",{reference}"#)), Some(expected));
        }
        assert_eq!(placeholder(&format!(r#""type":"Reply",{reference}"#)), None);
        assert_eq!(placeholder(reference), None);
    }

    #[test]
    fn a_placeholder_without_a_usable_reference_names_no_starter() {
        let expected = Some(Placeholder { id: Snowflake::new(9), starter: None });
        for reference in ["null", "{}", r#"{"messageId":null}"#, r#"{"messageId":7}"#, r#"["7"]"#] {
            let found = placeholder(&format!(r#""type":"21","reference":{reference}"#));
            assert_eq!(found, expected, "{reference}");
        }
    }
}
