//! Documents as DCE writes them, ended anywhere and with any limit: what is read is exactly what is certain.

#![no_main]

use arbitrary::Arbitrary;
use dce_fuzz::document::{Document, Written};
use dce_fuzz::reading::{Emitted, Reading, chunks, read};
use dce_fuzz::rows::check_rows;
use dce_worker::ingest::frame::{DocumentEnd, FrameError, MAX_MESSAGE_BYTES};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[derive(Debug, Arbitrary)]
struct Case {
    chunk: u8,
    cut: u32,
    /// DCE is interrupted instead of killed: it closes what it can.
    interrupted: bool,
    /// Largest message, beyond what the header needs.
    cap: u16,
    document: Document,
}

fuzz_target!(|case: Case| {
    let Case { chunk, cut, interrupted, cap, mut document } = case;
    let written = document.write();
    check_end(&written, cut as usize % (written.bytes.len() + 1), interrupted, chunk);

    let whole = read(MAX_MESSAGE_BYTES, [written.bytes.as_slice()]);
    let users = document.leave_users_out();
    let short = read(MAX_MESSAGE_BYTES, [document.write().bytes.as_slice()]);
    let cap = written.head_end + usize::from(cap);
    let limited = read(cap, chunks(&written.bytes, &[chunk]));
    check_limit(&whole, &short, &users, cap, &limited);
});

/// A document that ends here has the messages before, and none of them is made up.
fn check_end(written: &Written, cut: usize, interrupted: bool, chunk: u8) {
    let interrupted = interrupted && cut >= written.head_end;
    let mut bytes = written.bytes[..cut].to_vec();
    if interrupted {
        bytes.extend_from_slice(&postamble(written, cut));
    }
    let reading = read(MAX_MESSAGE_BYTES, chunks(&bytes, &[chunk]));
    let values: Vec<Value> =
        reading.messages.iter().map(|message| serde_json::from_str(&message.json).expect("JSON")).collect();
    assert!(written.messages.starts_with(&values), "{values:#?}");
    assert_eq!(reading.header.is_some(), cut >= written.head_end);
    assert_eq!(check_rows(&reading.messages), values.len(), "every message of DCE's has a row");

    let certain = written.certain_at.iter().filter(|at| **at <= cut).count();
    let end = reading.outcome.expect("DCE's documents are not refused");
    let complete = matches!(end, DocumentEnd::Complete { .. });
    if interrupted {
        // The closed array is the follower of a message that ends at the cut.
        let behind_message =
            written.message_ends.iter().any(|end| bytes[..cut].trim_ascii_end().len() == *end);
        assert!(values.len() == certain || (values.len() == certain + 1 && behind_message));
    } else {
        assert_eq!(values.len(), certain);
        assert_eq!(complete, cut >= written.complete_at);
    }
}

/// What an interrupted DCE 2.47 appends wherever it stands: it closes an array, counts the messages it wrote
/// and closes an object.
fn postamble(written: &Written, cut: usize) -> Vec<u8> {
    let count = written.message_ends.iter().filter(|end| **end <= cut).count();
    format!("\n  ],\n  \"messageCount\": {count}\n}}").into_bytes()
}

/// A message that is too large comes without the users of its reactions, or, if that does not help, not at all.
fn check_limit(whole: &Reading, short: &Reading, users: &[u64], cap: usize, limited: &Reading) {
    let mut expected = Vec::new();
    let mut outcome = whole.outcome;
    for (index, (whole, short)) in whole.messages.iter().zip(&short.messages).enumerate() {
        let Emitted { repairs, source_bytes, .. } = *whole;
        let (json, left_out) = if whole.json.len() <= cap {
            (&whole.json, 0)
        } else if short.json.len() <= cap {
            (&short.json, users[index])
        } else {
            outcome = Err(FrameError::MessageTooLarge { index: index as u64, limit: cap });
            break;
        };
        expected.push(Emitted { json: json.clone(), repairs, left_out, source_bytes });
    }
    assert_eq!((&limited.messages, limited.outcome), (&expected, outcome));
}
