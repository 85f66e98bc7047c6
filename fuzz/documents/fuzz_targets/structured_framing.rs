//! Documents in DCE's layout, ended anywhere and with any limit: the framer emits exactly the messages that are certainly
//! whole.

#![no_main]

use arbitrary::Arbitrary;
use dce_fuzz_documents::document::{Document, Written};
use dce_fuzz_documents::reading::{EmittedMessage, Reading, chunks, read};
use dce_fuzz_documents::rows::check_rows;
use dce_ingest::document::frame::{DocumentEnd, FrameError};
use dce_ingest::document::framer::MAX_MESSAGE_BYTES;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[derive(Debug, Arbitrary)]
struct Case {
    chunk_size: u8,
    /// Where the document ends, modulo its length.
    cut: u32,
    /// Whether DCE is interrupted and appends its postamble. Otherwise it is killed.
    interrupted: bool,
    /// Size limit of a message, in bytes beyond the size of the header.
    limit: u16,
    document: Document,
}

fuzz_target!(|case: Case| {
    let Case { chunk_size, cut, interrupted, limit, mut document } = case;
    let written = document.write();
    check_end(&written, cut as usize % (written.bytes.len() + 1), interrupted, chunk_size);

    let whole = read(MAX_MESSAGE_BYTES, [written.bytes.as_slice()]);
    let users = document.drop_users();
    let without_users = read(MAX_MESSAGE_BYTES, [document.write().bytes.as_slice()]);
    let limit = written.head_end + usize::from(limit);
    let limited = read(limit, chunks(&written.bytes, &[chunk_size]));
    check_limit(&whole, &without_users, &users, limit, &limited);
});

/// A document that ends at `cut` contains the messages before it, and no invented message.
fn check_end(written: &Written, cut: usize, interrupted: bool, chunk_size: u8) {
    let interrupted = interrupted && cut >= written.head_end;
    let mut bytes = written.bytes[..cut].to_vec();
    if interrupted {
        bytes.extend_from_slice(&postamble(written, cut));
    }
    let reading = read(MAX_MESSAGE_BYTES, chunks(&bytes, &[chunk_size]));
    let values: Vec<Value> =
        reading.messages.iter().map(|message| serde_json::from_str(&message.json).expect("JSON")).collect();
    assert!(written.messages.starts_with(&values), "{values:#?}");
    assert_eq!(reading.header.is_some(), cut >= written.head_end);
    assert_eq!(check_rows(&reading.messages), values.len(), "every message that DCE wrote has a row");

    let certain = written.certain_at.iter().filter(|at| **at <= cut).count();
    let end = reading.outcome.expect("a document that DCE wrote is not refused");
    let complete = matches!(end, DocumentEnd::Complete { .. });
    if interrupted {
        // The end of the array is the follower of a message that ends at the cut.
        let behind_message =
            written.message_ends.iter().any(|end| bytes[..cut].trim_ascii_end().len() == *end);
        assert!(values.len() == certain || (values.len() == certain + 1 && behind_message));
    } else {
        assert_eq!(values.len(), certain);
        assert_eq!(complete, cut >= written.complete_at);
    }
}

/// The bytes that an interrupted DCE 2.47 appends, wherever it is in the document: the end of an array, the number of
/// messages it wrote, and the end of an object.
fn postamble(written: &Written, cut: usize) -> Vec<u8> {
    let count = written.message_ends.iter().filter(|end| **end <= cut).count();
    format!("\n  ],\n  \"messageCount\": {count}\n}}").into_bytes()
}

/// A message that is too large is emitted without the users of its reactions. If it is still too large, the document is
/// refused.
fn check_limit(whole: &Reading, without_users: &Reading, users: &[u64], limit: usize, limited: &Reading) {
    let mut expected = Vec::new();
    let mut outcome = whole.outcome;
    for (index, (whole, without_users)) in whole.messages.iter().zip(&without_users.messages).enumerate() {
        let EmittedMessage { repairs, source_bytes, .. } = *whole;
        let (json, dropped_users) = if whole.json.len() <= limit {
            (&whole.json, 0)
        } else if without_users.json.len() <= limit {
            (&without_users.json, users[index])
        } else {
            outcome = Err(FrameError::MessageTooLarge { index: index as u64, limit });
            break;
        };
        expected.push(EmittedMessage { json: json.clone(), repairs, dropped_users, source_bytes });
    }
    assert_eq!((&limited.messages, limited.outcome), (&expected, outcome));
}
