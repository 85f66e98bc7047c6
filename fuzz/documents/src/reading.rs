//! Reads a document with the framer and checks the guarantees that hold for every document.

use dce_ingest::document::frame::{DocumentEnd, Frame, FrameError};
use dce_ingest::document::framer::Framer;
use dce_ingest::document::header::Header;
use dce_ingest::message::columns::Message;

use crate::strict::Strict;

/// The frames that the framer emitted for a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    pub header: Option<Header>,
    pub messages: Vec<EmittedMessage>,
    /// How the document ended, or why it was refused.
    pub outcome: Result<DocumentEnd, FrameError>,
}

/// The fields of a `Frame::Message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedMessage {
    /// Minified and repaired.
    pub json: String,
    pub repairs: u32,
    pub dropped_users: u64,
    pub source_bytes: u64,
}

/// Splits the document into chunks. The sizes are repeated until the document ends; 0 means all remaining bytes.
pub fn chunks<'a>(document: &'a [u8], sizes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = document;
    sizes.iter().cycle().map_while(move |size| {
        let len = if *size == 0 { rest.len() } else { rest.len().min(usize::from(*size)) };
        let (chunk, behind) = rest.split_at(len);
        rest = behind;
        (len > 0).then_some(chunk)
    })
}

/// Reads the chunks of one document with a limit of `max_message` bytes for each message.
pub fn read<'a>(max_message: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut framer = Framer::new(max_message);
    let mut header = None;
    let mut messages: Vec<EmittedMessage> = Vec::new();
    let mut end = None;
    let mut refused = None;
    let mut bytes = 0;
    for chunk in chunks {
        bytes += chunk.len() as u64;
        let pushed = framer.push::<FrameError>(chunk, &mut |frame| {
            assert!(end.is_none() && refused.is_none(), "nothing comes after the end");
            match frame {
                Frame::Header(read) => {
                    assert!(header.is_none() && messages.is_empty(), "the header comes once and first");
                    header = Some(*read);
                }
                Frame::Message { json, members, repairs, dropped_users, source_bytes } => {
                    if let Some(members) = members {
                        assert_eq!(Message::from_members(json, members), Message::parse(json));
                    }
                    assert!(header.is_some(), "the header comes before messages");
                    let json = json.to_owned();
                    messages.push(EmittedMessage { json, repairs, dropped_users, source_bytes });
                }
                Frame::End { message_count } => end = Some(message_count),
            }
            Ok(())
        });
        if let Err(error) = pushed {
            assert!(refused.replace(error).is_none(), "a document is refused once");
        }
        assert_eq!(framer.messages(), messages.len() as u64);
    }
    assert!(messages.iter().map(|message| message.source_bytes).sum::<u64>() <= bytes);
    for message in &messages {
        check_message(message, max_message);
    }

    let finish = framer.finish();
    let count = messages.len() as u64;
    match (finish, refused) {
        (DocumentEnd::Complete { messages, message_count }, None) => {
            assert_eq!((Some(message_count), messages), (end, count));
            assert!(message_count.is_none_or(|declared| declared == count));
        }
        (DocumentEnd::Cut { messages, broken_at }, _) => {
            assert_eq!(messages, count);
            assert!(broken_at.is_none_or(|at| at < bytes));
        }
        (DocumentEnd::Complete { .. }, Some(error)) => panic!("complete in spite of: {error}"),
    }
    Reading { header, messages, outcome: refused.map_or(Ok(finish), Err) }
}

/// Checks that Postgres accepts the message.
fn check_message(message: &EmittedMessage, max_message: usize) {
    // The limit applies before invalid bytes become U+FFFD, which is three bytes long.
    assert!(message.json.len() <= max_message.saturating_mul(3));
    let strict = Strict::from(message.json.as_bytes());
    assert_eq!(strict.replaced, 0, "a repaired message needs no second repair");
    assert!(!strict.has_extreme_number(), "a number that jsonb may refuse");
    assert!(message.json.starts_with('{') && is_json(&message.json), "a message is a JSON object");
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
