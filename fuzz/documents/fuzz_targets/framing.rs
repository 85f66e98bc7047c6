//! Any bytes as a document. The first byte sets the size limit of a message, the next four set the sizes of the chunks.

#![no_main]

use dce_fuzz_documents::reading::{Reading, chunks, read};
use dce_fuzz_documents::reference::{Reference, drop_users, may_exceed};
use dce_fuzz_documents::rows::check_rows;
use dce_fuzz_documents::strict::Strict;
use dce_ingest::document::frame::{DocumentEnd, FrameError};
use dce_ingest::document::framer::MAX_MESSAGE_BYTES;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Maximum nesting of an accepted document.
const MAX_DEPTH: usize = 127;

fuzz_target!(|input: &[u8]| {
    let Some(([limit, sizes @ ..], document)) = input.split_first_chunk::<5>() else { return };
    let max_message = if *limit == 0 { MAX_MESSAGE_BYTES } else { usize::from(*limit) * 8 };

    let whole = read(max_message, [document]);
    let pieces = read(max_message, chunks(document, sizes));
    assert_same(&whole, &pieces);

    let strict = Strict::from(document);
    assert_agrees_with_reference(&whole, &strict, document.len());
    check_rows(&whole.messages);
});

/// Chunks change nothing, with one exception: the framer checks a size at the end of a chunk, and in a large chunk it may
/// find another mistake first.
fn assert_same(whole: &Reading, pieces: &Reading) {
    assert_eq!(whole.header, pieces.header);
    assert_eq!(whole.messages, pieces.messages);
    if whole.outcome != pieces.outcome {
        let too_large = [whole, pieces]
            .iter()
            .any(|reading| matches!(reading.outcome, Err(error) if exceeded_limit(error).is_some()));
        assert!(too_large, "{:?} in one chunk, {:?} in several", whole.outcome, pieces.outcome);
    }
}

/// The framer reads the same as `serde_json`, as far as `serde_json` reads the document.
fn assert_agrees_with_reference(reading: &Reading, strict: &Strict, len: usize) {
    let Some(reference) = Reference::read(&strict.text) else {
        assert!(!matches!(reading.outcome, Ok(DocumentEnd::Complete { .. })), "complete, but not JSON");
        return;
    };
    assert!(reading.messages.len() <= reference.messages.len());
    for (emitted, expected) in reading.messages.iter().zip(&reference.messages) {
        // serde_json has no value for numbers beyond f64, although they are JSON.
        let mut expected = serde_json::from_str::<Value>(expected.get()).ok();
        if emitted.dropped_users > 0 {
            let users = expected.as_mut().map_or(0, drop_users);
            assert!(emitted.dropped_users >= users, "{} of {users} users", emitted.dropped_users);
        }
        assert_eq!(serde_json::from_str::<Value>(&emitted.json).ok(), expected);
    }
    match (reading.outcome, reference.outcome) {
        (Ok(DocumentEnd::Complete { messages, message_count }), Ok(expected)) => {
            assert_eq!((messages, message_count), (reference.messages.len() as u64, expected));
        }
        (Err(error), Err(expected)) if error == expected => {}
        (Err(FrameError::TooDeep), _) => assert!(strict.depth() > MAX_DEPTH),
        (Err(error), _) if exceeded_limit(error).is_some_and(|limit| may_exceed(limit, len)) => {}
        (Ok(DocumentEnd::Cut { broken_at: Some(_), .. }), _) => assert!(strict.has_extreme_number()),
        (outcome, expected) => panic!("{outcome:?}, but the reference is {expected:?}"),
    }
}

/// The size limit that the document exceeds.
fn exceeded_limit(error: FrameError) -> Option<usize> {
    match error {
        FrameError::MessageTooLarge { limit, .. } | FrameError::PropertiesTooLarge { limit } => Some(limit),
        _ => None,
    }
}
