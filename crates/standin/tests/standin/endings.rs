//! Attempts that fail.

use std::fs;

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, recording};

use crate::call::{Call, count, ids};

fn generated(attempt: Attempt) -> Call {
    Call::to(Channel::generated(50, 2).attempt(attempt))
}

#[test]
fn a_failed_attempt_leaves_a_valid_document_that_is_too_small() {
    for (ending, words) in [
        (Ending::Dropped, "The response ended prematurely. (ResponseEnded)"),
        (Ending::Unavailable, "failed: internal server error."),
        (Ending::RateLimited, "\"retry_after\": 1.337"),
        (Ending::BadRequest, "<html>"),
        (Ending::InvalidToken, "Authentication token is invalid."),
    ] {
        let call = generated(Attempt::ends_after(20, ending));
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "1");
        assert!(ended.stderr.contains(words), "{ending:?}: {}", ended.stderr);
        assert_eq!(count(&call.read("part.json")), 20, "{ending:?}");
        assert_eq!(call.run(&[]).exit, "0", "the next attempt is plain");
        assert_eq!(count(&call.read("part.json")), 50);
    }
}

#[test]
fn an_ending_beyond_the_last_message_comes_after_it() {
    let call = generated(Attempt::ends_after(1_000, Ending::Dropped));
    assert_eq!(call.run(&[]).exit, "1");
    assert_eq!(count(&call.read("part.json")), 50);
}

#[test]
fn a_killed_process_leaves_whole_messages_without_postamble() {
    for (ending, exit) in
        [(Ending::Crash, "signal 6"), (Ending::Sigkill, "signal 9"), (Ending::Sigterm, "signal 15")]
    {
        let call = generated(Attempt::ends_after(20, ending));
        assert_eq!(call.run(&[]).exit, exit);
        let text = call.read("part.json");
        assert!(text.ends_with("\n    }"), "{ending:?}");
        assert_eq!(ids(&text).len(), 20);
        assert_eq!(count(&format!("{text}\n  ],\n  \"messageCount\": 20\n}}")), 20);
    }
}

#[test]
fn a_cut_message_is_closed_by_the_postamble_as_recorded() {
    let small = recording("small").join("out/part.json");
    for before in 0..12 {
        let call = Call::to(Channel::file(&small).attempt(Attempt::ends_after(before, Ending::CutInside)));
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "1");
        let cancelled = DceVersion::default().recording("sigint-between").join("stderr");
        assert_eq!(ended.stderr, fs::read_to_string(cancelled).unwrap());
        let text = call.read("part.json");
        assert!(text.ends_with(&format!(",\n      \"messageCount\": {}\n    }}", before + 1)), "{before}");
        // The last frame alone is valid JSON: a message with an invented field.
        let last = text.rfind("\n    {\n").unwrap();
        let frame: serde_json::Value = serde_json::from_str(&text[last..]).unwrap();
        assert_eq!(frame["messageCount"], before + 1);
        assert!(frame.get("inlineEmojis").is_none_or(|emojis| emojis.as_array().unwrap().len() == 1));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
    }
}

#[test]
fn a_full_disk_leaves_half_a_message_and_names_the_file() {
    let call = generated(Attempt::ends_after(3, Ending::DiskFull));
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert_eq!(ended.stderr, fs::read_to_string(recording("disk-full").join("stderr")).unwrap());
    let text = call.read("part.json");
    assert_eq!(ids(&text).len(), 4);
    assert!(!text.ends_with('}'));
}

#[test]
fn a_real_full_disk_is_reported_with_the_same_error() {
    let call = generated(Attempt::ends(Ending::Complete));
    std::os::unix::fs::symlink("/dev/full", call.path("part.json")).unwrap();
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert_eq!(ended.stderr, fs::read_to_string(recording("disk-full").join("stderr")).unwrap());
}

#[test]
fn an_output_that_cannot_be_created_is_an_error_of_dce() {
    let call = Call::to(Channel::generated(1, 1));
    fs::write(call.path("file"), "").unwrap();
    let argv = ["export", "-c", crate::call::CHANNEL, "-f", "Json", "-o", "OUT/file/part.json"];
    let ended = call.finish(call.command(&argv).spawn().unwrap());
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.starts_with("ERROR\nSystem.IO.IOException: "), "{}", ended.stderr);
}
