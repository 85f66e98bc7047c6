//! Documents in every layout, cut and damaged anywhere: the framer emits only true messages and reports what is missing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod model;
mod oversized_messages;
mod reading;
mod recordings;
mod refusals;

use dce_ingest::document::frame::DocumentEnd;
use model::{Document, chunks, document, repairs, value};
use proptest::prelude::*;
use proptest::sample::Index;
use reading::{EndFrame, read};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The values that a reader must find.
fn expected_values(document: &Document) -> Vec<Value> {
    document.messages.iter().map(|message| value(message)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_document_yields_its_messages_in_any_layout_and_any_chunks(
        document in document(),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let written = document.write();
        let reading = read(chunks(&written.bytes, &cuts));

        prop_assert_eq!(reading.error, None);
        prop_assert_eq!(reading.values(), expected_values(&document));
        let repairs: Vec<u32> = document.messages.iter().map(|message| repairs(message)).collect();
        prop_assert_eq!(&reading.repairs, &repairs);
        prop_assert_eq!(reading.dropped_users.iter().sum::<u64>(), 0);
        let header = reading.header.as_ref().unwrap();
        prop_assert_eq!(header.channel.id.get(), 1001);
        prop_assert_eq!(header.channel.topic.clone(), Some(document.topic.repaired()));
        let messages = document.messages.len() as u64;
        let message_count = document.count_first.map(|_| messages);
        prop_assert_eq!(reading.end, Some(EndFrame { message_count }));
        prop_assert_eq!(reading.finish, DocumentEnd::Complete { messages, message_count });
    }

    #[test]
    fn messages_are_minified_and_need_no_second_repair(document in document()) {
        let reading = read([document.write().bytes.as_slice()]);
        for json in &reading.messages {
            let again = read([format!(r#"{{"channel":{{"id":"1"}},"messages":[{json}]}}"#).as_bytes()]);
            prop_assert_eq!(&again.messages, std::slice::from_ref(json));
            prop_assert_eq!(&again.repairs, &[0]);
            prop_assert!(!has_space_between_tokens(json), "{}", json);
            prop_assert!(!json.replace(r"\\", "").contains(r"\u0000"), "{}", json);
        }
    }

    /// A stopped DCE appends such a postamble. Here it follows any byte, as if every open bracket were an array's.
    #[test]
    fn a_postamble_inside_a_message_does_not_complete_that_message(document in document(), cut in any::<Index>()) {
        let document = Document { layout: model::DCE, ..document };
        let written = document.write();
        let cut = cut.index(written.complete_at);
        let whole = read([written.bytes.as_slice()]);
        let certain = written.certain_at.iter().filter(|at| **at <= cut).count();

        let reading = read([&written.bytes[..cut], b"\n  ],\n  \"messageCount\": 1\n}"]);
        prop_assert!(whole.messages.starts_with(&reading.messages));
        prop_assert!(reading.messages.len() >= certain);
        // Between two messages the postamble is valid, and the message before it is whole.
        let between = reading.messages.len() == certain + 1;
        prop_assert!(between || !reading.is_complete() || certain == whole.messages.len(), "{:?}", reading);
    }

    #[test]
    fn damaged_bytes_never_panic_and_are_read_the_same_in_any_chunks(
        document in document(),
        damages in prop::collection::vec(damage(), 1..6),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let mut bytes = document.write().bytes;
        apply_damages(&mut bytes, damages);
        let reading = read([bytes.as_slice()]);
        prop_assert_eq!(&read(chunks(&bytes, &cuts)), &reading);
        for json in &reading.messages {
            prop_assert!(json.starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok(), "{}", json);
        }
        prop_assert!(!(reading.is_complete() && reading.error.is_some()));
        if let Ok(parsed) = serde_json::from_slice::<Value>(&bytes) {
            prop_assert!(reading.is_complete() || reading.error.is_some(), "{:?} {:?}", parsed, reading);
        }
    }
}

// These cases try every position of a document, so there are fewer documents.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_cut_document_yields_exactly_the_messages_that_have_a_follower(document in document()) {
        let written = document.write();
        let whole = read([written.bytes.as_slice()]);
        for len in 0..written.complete_at {
            let reading = read([&written.bytes[..len]]);
            let certain = written.certain_at.iter().filter(|at| **at <= len).count();
            prop_assert_eq!(&reading.messages, &whole.messages[..certain], "cut at {}", len);
            let cut = DocumentEnd::Cut { messages: certain as u64, broken_at: None };
            prop_assert_eq!((reading.error, reading.end, reading.finish), (None, None, cut), "cut at {}", len);
        }
    }

    #[test]
    fn a_document_is_read_the_same_wherever_two_chunks_meet(document in document()) {
        let bytes = document.write().bytes;
        let whole = read([bytes.as_slice()]);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
        for len in 0..bytes.len() {
            let (before, after) = bytes.split_at(len);
            prop_assert_eq!(&read([before, after]), &whole, "split at {}", len);
        }
    }
}

/// A position, a byte, and whether the byte is inserted there instead of replacing another.
type Damage = (Index, u8, bool);

fn damage() -> impl Strategy<Value = Damage> {
    (any::<Index>(), damaging_byte(), any::<bool>())
}

fn apply_damages(bytes: &mut Vec<u8>, damages: Vec<Damage>) {
    for (position, byte, insert) in damages {
        let position = position.index(bytes.len());
        if insert {
            bytes.insert(position, byte);
        } else {
            bytes[position] = byte;
        }
    }
}

fn damaging_byte() -> impl Strategy<Value = u8> {
    let structural = b"{}[],:\"\\ \n\0u0-eE.d8\xc3\xa9\xff".to_vec();
    prop_oneof![3 => prop::sample::select(structural), 1 => any::<u8>()]
}

fn has_space_between_tokens(json: &str) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    json.bytes().any(|byte| {
        if escaped {
            escaped = false;
        } else if in_string && byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            in_string = !in_string;
        }
        !in_string && byte.is_ascii_whitespace()
    })
}
