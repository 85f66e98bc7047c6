//! Reads a document with the framer and holds it to what it promises of every document.

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
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

/// What was read over, because it was said to be archived.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadOver {
    /// How many messages were handed out before it.
    pub index: usize,
    /// Its id.
    pub id: Snowflake,
    /// When it was sent.
    pub timestamp: DateTime<Utc>,
    /// Bytes of the document.
    pub source_bytes: u64,
}

/// Reads a document of which everything is archived. Returns what was read over, and how it ended.
pub fn read_archived(cap: usize, document: &[u8]) -> (Vec<ReadOver>, Result<DocumentEnd, FrameError>) {
    let mut framer = Framer::new(cap);
    let (mut index, mut read_over) = (0, Vec::new());
    let pushed = framer.push_beside::<FrameError>(document, &mut |_| true, &mut |frame| {
        if let Frame::Archived { id, timestamp, source_bytes } = frame {
            read_over.push(ReadOver { index, id, timestamp, source_bytes });
        }
        index += usize::from(matches!(frame, Frame::Archived { .. } | Frame::Message { .. }));
        Ok(())
    });
    (read_over, pushed.map(|()| framer.finish()))
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
                Frame::Archived { .. } => unreachable!("nothing was said to be archived"),
                Frame::Message { json, members, repairs, left_out, source_bytes, .. } => {
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
