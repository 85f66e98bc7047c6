//! Reads documents with a `Framer` and collects its frames.

use dce_ingest::document::frame::{DocumentEnd, Frame, FrameError};
use dce_ingest::document::framer::{Framer, MAX_MESSAGE_BYTES};
use dce_ingest::document::header::Header;
use dce_ingest::message::columns::Message;
use serde_json::Value;

/// The fields of `Frame::End`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndFrame {
    pub(crate) message_count: Option<u64>,
}

/// All frames of one document, and its end.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) header: Option<Header>,
    pub(crate) messages: Vec<String>,
    pub(crate) repairs: Vec<u32>,
    pub(crate) dropped_users: Vec<u64>,
    pub(crate) source_bytes: u64,
    pub(crate) end: Option<EndFrame>,
    pub(crate) error: Option<FrameError>,
    pub(crate) finish: DocumentEnd,
}

impl Reading {
    pub(crate) fn values(&self) -> Vec<Value> {
        self.messages.iter().map(|json| serde_json::from_str(json).unwrap()).collect()
    }

    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.finish, DocumentEnd::Complete { .. })
    }
}

/// Reads the chunks as one document. Panics if frames are out of order.
pub(crate) fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    read_limited(MAX_MESSAGE_BYTES, chunks)
}

pub(crate) fn read_limited<'a>(max_message: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut framer = Framer::new(max_message);
    let (mut header, mut end, mut error) = (None, None, None);
    let (mut messages, mut repairs, mut dropped_users) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pushed, mut source_bytes) = (0, 0);
    for chunk in chunks {
        pushed += chunk.len() as u64;
        let result = framer.push(chunk, &mut |frame| {
            assert_eq!(end, None, "nothing comes after the end");
            match frame {
                Frame::Header(read) => assert!(header.replace(*read).is_none(), "one header"),
                Frame::Message {
                    json,
                    members,
                    repairs: count,
                    dropped_users: users,
                    source_bytes: bytes,
                    ..
                } => {
                    if let Some(members) = members {
                        assert_eq!(Message::from_members(json, members), Message::parse(json));
                    }
                    assert!(header.is_some(), "the header comes first");
                    messages.push(json.to_owned());
                    repairs.push(count);
                    dropped_users.push(users);
                    source_bytes += bytes;
                    assert!(source_bytes < pushed, "a message is emitted only after its follower was read");
                }
                Frame::End { message_count } => end = Some(EndFrame { message_count }),
            }
            Ok(())
        });
        if let Err(failure) = result {
            assert_eq!(error.replace(failure), None, "an error is returned once");
        }
    }
    assert_eq!(framer.messages(), messages.len() as u64);
    Reading { header, messages, repairs, dropped_users, source_bytes, end, error, finish: framer.finish() }
}
