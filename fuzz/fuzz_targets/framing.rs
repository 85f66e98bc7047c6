//! Any bytes as a document. The first byte chooses the largest message, four more the sizes of chunks.

#![no_main]

use dce_core::export::warnings::Counters;
use dce_fuzz::oracle::{Opinion, leave_users_out, may_exceed};
use dce_fuzz::reading::{Reading, chunks, read, read_archived};
use dce_fuzz::rows::check_rows;
use dce_fuzz::strict::Strict;
use dce_worker::ingest::frame::{DocumentEnd, FrameError, MAX_MESSAGE_BYTES};
use dce_worker::ingest::message::Message;
use dce_worker::ingest::notice::notice;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Deepest nesting that is accepted.
const MAX_DEPTH: usize = 127;

fuzz_target!(|input: &[u8]| {
    let Some(([cap, sizes @ ..], document)) = input.split_first_chunk::<5>() else { return };
    let cap = if *cap == 0 { MAX_MESSAGE_BYTES } else { usize::from(*cap) * 8 };

    let whole = read(cap, [document]);
    let pieces = read(cap, chunks(document, sizes));
    assert_same(&whole, &pieces);

    assert_archived(&whole, cap, document);
    let strict = Strict::of(document);
    assert_true(&whole, &strict, document.len());
    check_rows(&whole.messages);
});

/// Chunks change nothing, but for one thing: a size is checked at a chunk's end, and in a large chunk
/// something else may be found wrong before that.
fn assert_same(whole: &Reading, pieces: &Reading) {
    assert_eq!(whole.header, pieces.header);
    assert_eq!(whole.messages, pieces.messages);
    if whole.outcome != pieces.outcome {
        let too_large = [whole, pieces]
            .iter()
            .any(|reading| matches!(reading.outcome, Err(error) if limit(error).is_some()));
        assert!(too_large, "{:?} in one chunk, {:?} in several", whole.outcome, pieces.outcome);
    }
}

/// What is archived is read over and changes nothing else, but that a message may be too large only when it is copied.
fn assert_archived(whole: &Reading, cap: usize, document: &[u8]) {
    let (read_over, outcome) = read_archived(cap, document);
    if matches!(whole.outcome, Err(error) if limit(error).is_some()) {
        return;
    }
    assert_eq!(outcome, whole.outcome);
    for archived in read_over {
        let emitted = &whole.messages[archived.index];
        let message = Message::parse(&emitted.json).expect("what is read over could be read");
        assert_eq!((archived.id, archived.timestamp), (message.id, message.timestamp));
        assert_eq!((archived.source_bytes, 0, 0), (emitted.source_bytes, emitted.repairs, emitted.left_out));
        assert_eq!(notice(&message, 0), Counters::default());
    }
}

/// What is read is what `serde_json` reads, if it does.
fn assert_true(reading: &Reading, strict: &Strict, len: usize) {
    let Some(opinion) = Opinion::of(&strict.text) else {
        assert!(!matches!(reading.outcome, Ok(DocumentEnd::Complete { .. })), "complete, but no JSON");
        return;
    };
    assert!(reading.messages.len() <= opinion.messages.len());
    for (emitted, expected) in reading.messages.iter().zip(&opinion.messages) {
        // Numbers beyond f64 are JSON, but no value of serde_json's.
        let mut expected = serde_json::from_str::<Value>(expected.get()).ok();
        if emitted.left_out > 0 {
            let users = expected.as_mut().map_or(0, leave_users_out);
            assert!(emitted.left_out >= users, "{} of {users} users", emitted.left_out);
        }
        assert_eq!(serde_json::from_str::<Value>(&emitted.json).ok(), expected);
    }
    match (reading.outcome, opinion.outcome) {
        (Ok(DocumentEnd::Complete { messages, message_count }), Ok(expected)) => {
            assert_eq!((messages, message_count), (opinion.messages.len() as u64, expected));
        }
        (Err(error), Err(expected)) if error == expected => {}
        (Err(FrameError::TooDeep), _) => assert!(strict.depth() > MAX_DEPTH),
        (Err(error), _) if limit(error).is_some_and(|limit| may_exceed(limit, len)) => {}
        (Ok(DocumentEnd::Cut { broken_at: Some(_), .. }), _) => assert!(strict.has_extreme_number()),
        (outcome, expected) => panic!("{outcome:?}, but it is {expected:?}"),
    }
}

/// The limit of sizes that was met.
fn limit(error: FrameError) -> Option<usize> {
    match error {
        FrameError::MessageTooLarge { limit, .. } | FrameError::PropertiesTooLarge { limit } => Some(limit),
        _ => None,
    }
}
