//! Reads a document with the framer and holds it to what it promises of every document.

use dce_worker::ingest::frame::{DocumentEnd, Frame, FrameError, Framer};
use dce_worker::ingest::header::Header;
use dce_worker::ingest::message::Message;

use crate::strict::Strict;

/// What the framer made of a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// The part before the messages.
    pub header: Option<Header>,
    /// The messages handed out.
    pub messages: Vec<Emitted>,
    /// How it ended, or why it was refused.
    pub outcome: Result<DocumentEnd, FrameError>,
}

/// One message as it was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Minified and repaired.
    pub json: String,
    /// Characters replaced.
    pub repairs: u32,
    /// Users of its reactions left out.
    pub left_out: u64,
    /// Bytes of the document.
    pub source_bytes: u64,
}

/// The document in chunks of these sizes over and over; 0 is all that is left.
pub fn chunks<'a>(document: &'a [u8], sizes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = document;
    sizes.iter().cycle().map_while(move |size| {
        let len = if *size == 0 { rest.len() } else { rest.len().min(usize::from(*size)) };
        let (chunk, behind) = rest.split_at(len);
        rest = behind;
        (len > 0).then_some(chunk)
    })
}

/// Reads chunks with messages of at most `cap` bytes.
pub fn read<'a>(cap: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut framer = Framer::new(cap);
    let mut header = None;
    let mut messages: Vec<Emitted> = Vec::new();
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
                Frame::Message { json, members, repairs, left_out, source_bytes } => {
                    if let Some(members) = members {
                        assert_eq!(Message::of(json, members), Message::parse(json));
                    }
                    assert!(header.is_some(), "the header comes before messages");
                    messages.push(Emitted { json: json.to_owned(), repairs, left_out, source_bytes });
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
        check_message(message, cap);
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

/// What Postgres needs of every message.
fn check_message(message: &Emitted, cap: usize) {
    // The cap counts before invalid bytes become U+FFFD, which is three bytes long.
    assert!(message.json.len() <= cap.saturating_mul(3));
    let strict = Strict::of(message.json.as_bytes());
    assert_eq!(strict.replaced, 0, "a repaired message needs no second repair");
    assert!(!strict.has_extreme_number(), "a number that jsonb may refuse");
    assert!(message.json.starts_with('{') && is_json(&message.json), "a message is a JSON object");
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
