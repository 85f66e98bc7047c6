//! Recorded documents of the real DCE 2.47.

use std::path::PathBuf;

use dce_ingest::copy::batch::{Batch, Origin};
use dce_ingest::document::frame::DocumentEnd;
use dce_ingest::message::columns::Message;
use dce_snowflake::Snowflake;
use serde_json::Value;
use uuid::Uuid;

use crate::reading::{Reading, read};

pub(crate) fn recording(case: &str, file: &str) -> Vec<u8> {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../standin/recordings", case, "out", file].iter().collect();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads the messages with `serde_json` and replaces the characters that Postgres refuses.
fn reference_values(bytes: &[u8]) -> Vec<Value> {
    fn repair(value: &mut Value) {
        match value {
            Value::String(text) => *text = text.replace('\0', "\u{fffd}"),
            Value::Array(items) => items.iter_mut().for_each(repair),
            Value::Object(entries) => entries.values_mut().for_each(repair),
            _ => {}
        }
    }
    let mut document: Value = serde_json::from_slice(bytes).unwrap();
    let Value::Array(mut messages) = document["messages"].take() else { panic!("no messages") };
    messages.iter_mut().for_each(repair);
    messages
}

/// Reads a whole recording in chunks of an odd size, compares it with `serde_json`, and makes rows of it.
fn read_whole(case: &str, file: &str) -> Reading {
    let bytes = recording(case, file);
    let reading = read(bytes.chunks(1009));
    let messages = reading.messages.len() as u64;
    assert_eq!(reading.finish, DocumentEnd::Complete { messages, message_count: Some(messages) }, "{case}");
    assert_eq!(reading.values(), reference_values(&bytes), "{case}");

    let channel_id = reading.header.as_ref().unwrap().channel.id;
    let mut batch = Batch::new(&Origin { channel_id, job_id: Uuid::nil(), exported_at: None }, 1 << 16);
    for json in &reading.messages {
        batch.push(&Message::parse(json).unwrap(), 0, 0, 0).unwrap();
    }
    assert_eq!(batch.summary().messages, messages);
    reading
}

#[test]
fn every_kind_of_message_is_read() {
    let reading = read_whole("small", "part.json");
    assert_eq!(reading.messages.len(), 12);
    let header = reading.header.unwrap();
    assert_eq!(header.guild.unwrap().name.as_deref(), Some("Test | Guild 길드"));
    assert_eq!(header.channel.id, Snowflake::new(900_000_000_000_001_001));
    assert_eq!(header.channel.kind.as_deref(), Some("GuildTextChat"));
    assert!(header.exported_at.is_some());
}

#[test]
fn unusual_text_is_repaired_and_counted() {
    let reading = read_whole("weird", "part.json");
    assert_eq!(reading.messages.len(), 8);
    assert_eq!(reading.repairs[..3], [1, 1, 0]);
    let first = Message::parse(&reading.messages[0]).unwrap();
    assert_eq!(first.content.as_deref(), Some("nul\u{fffd}inside"));
}

#[test]
fn each_partition_is_a_document() {
    let parts = ["part.json", "part [part 2].json", "part [part 3].json"];
    assert_eq!(parts.map(|part| read_whole("partition-5", part).messages.len()), [5, 5, 2]);
}

#[test]
fn a_stop_between_messages_leaves_a_complete_document() {
    assert_eq!(read_whole("sigint-between", "part.json").messages.len(), 200);
}

#[test]
fn an_empty_export_is_complete() {
    assert_eq!(read_whole("empty", "part.json").messages.len(), 0);
}

#[test]
fn a_message_that_a_stop_closed_half_written_is_dropped() {
    let bytes = recording("sigint-inside-message", "part.json");
    // The trap: the only message is half written, and it parses.
    let start = bytes.windows(8).position(|bytes| bytes == b"[\n    {\n").unwrap() + 6;
    let half: Value = serde_json::from_slice(&bytes[start..]).unwrap();
    assert_eq!(half["messageCount"], 1);

    let reading = read([bytes.as_slice()]);
    assert!(reading.header.is_some() && reading.messages.is_empty());
    assert_eq!(reading.finish, DocumentEnd::Cut { messages: 0, broken_at: None });
}

#[test]
fn the_last_message_of_a_killed_dce_is_dropped() {
    for case in ["sigterm", "sigkill"] {
        let mut bytes = recording(case, "part.json");
        let reading = read([bytes.as_slice()]);
        bytes.extend_from_slice(b"\n  ]\n}");
        let closed = reference_values(&bytes);
        assert_eq!(reading.values(), closed[..closed.len() - 1], "{case}");
        let messages = reading.messages.len() as u64;
        assert_eq!(reading.finish, DocumentEnd::Cut { messages, broken_at: None }, "{case}");
    }
}
