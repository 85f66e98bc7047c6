//! What DCE 2.48 does otherwise than 2.47, from a channel's messages.

use std::fs;
use std::path::{Path, PathBuf};

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario, recording};

use crate::call::{Call, count, ids};
use crate::case::{Case, composed};

/// The channel of `small`, in which threads were begun.
const PARENT: &str = "900000000000001001";
/// The placeholder in the recording of a thread whose starter was deleted.
const PLACEHOLDER: &str = "1258013914562560000";

fn case(name: &str) -> Case {
    Case::open(DceVersion::V2_48, name)
}

fn out(name: &str) -> PathBuf {
    DceVersion::V2_48.recording(name).join("out/part.json")
}

fn small() -> Channel {
    Channel::file(recording("small").join("out/part.json"))
}

/// The first message of a document, and what comes before and after it.
fn split_first(document: &str) -> (&str, &str, &str) {
    let start = document.find("    {\n").unwrap();
    let length = document[start..].find("\n    },\n").unwrap() + "\n    }".len();
    (&document[..start], &document[start..start + length], &document[start + length..])
}

/// The thread of `starter-kept` as Discord holds it: with a placeholder for its starter.
fn thread_with_placeholder(dir: &Path) -> Channel {
    let (kept, gone) =
        (fs::read_to_string(out("starter-kept")).unwrap(), fs::read_to_string(out("starter-gone")).unwrap());
    let (head, _, rest) = split_first(&kept);
    let placeholder = split_first(&gone)
        .1
        .replace(PLACEHOLDER, "1258012027125760000")
        .replace("1257998815068160007", "1257996927631360004");
    let path = dir.join("thread.json");
    fs::write(&path, format!("{head}{placeholder}{rest}")).unwrap();
    Channel::file(path)
}

#[test]
fn the_second_line_of_the_version_says_that_it_is_not_dce() {
    for (version, first_line) in [(DceVersion::V2_47, "v2.47.0"), (DceVersion::V2_48, "v2.48.0")] {
        let call = Call::new(&Scenario::new().version(version));
        let ended = call.finish(call.command(&["--version"]).spawn().unwrap());
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert_eq!((lines[0], lines.len()), (first_line, 2));
        assert!(lines[1].starts_with("dce-standin"), "{}", lines[1]);
    }
}

#[test]
fn wrong_command_lines_are_refused_with_the_texts_of_2_48() {
    for name in [
        "bad-option",
        "bad-channel",
        "no-token",
        "after-nonsense",
        "filter-bad",
        "filter-option-injection",
        "help-export",
    ] {
        case(name).assert_same(&Scenario::new());
    }
}

#[test]
fn a_served_file_is_identical_to_that_of_2_48() {
    for name in ["small", "after-last-id", "window-empty"] {
        case(name).assert_same(&Scenario::new().channel(case(name).channel(), small()));
    }
    for name in ["thread", "empty", "before-same-ms"] {
        case(name).assert_same(&Scenario::new().channel(case(name).channel(), Channel::file(out(name))));
    }
}

#[test]
fn endings_print_the_recorded_errors_of_2_48() {
    let dir = tempfile::tempdir().unwrap();
    for (name, messages, ending) in [
        ("dies", 300, Ending::Dropped),
        ("bad500", 200, Ending::Unavailable),
        ("limited", 200, Ending::RateLimited),
        ("cloudflare-400", 200, Ending::BadRequest),
    ] {
        let channel = Channel::file(out(name)).attempt(Attempt::ends_after(messages, ending));
        case(name).assert_same(&Scenario::new().channel(case(name).channel(), channel));
    }
    let messages = recording("small").join("out/part.json");
    for (name, ending) in [("no-intent", Ending::NoIntent), ("lone-surrogate", Ending::Unreadable)] {
        let channel = composed(dir.path(), &out(name), &messages).attempt(Attempt::ends(ending));
        case(name).assert_same(&Scenario::new().channel(case(name).channel(), channel));
    }
    let forbidden = small().attempt(Attempt::ends(Ending::Forbidden));
    case("forbidden").assert_same(&Scenario::new().channel(case("forbidden").channel(), forbidden));
    case("unknown").assert_same(&Scenario::new());
    case("bad-token").assert_same(&Scenario::new().token("bot-good"));
}

#[test]
fn a_refused_question_is_a_success_of_2_48_and_a_failure_of_2_47() {
    let dir = tempfile::tempdir().unwrap();
    let messages = recording("small").join("out/part.json");
    for (name, ending, error) in [
        ("forbidden-messages", Ending::ForbiddenMessages, "/messages?limit=1' failed: forbidden."),
        ("probe-400", Ending::QuestionRefused, "/messages?limit=1' failed: bad request."),
        ("probe-400-before", Ending::QuestionRefused, "failed: bad request."),
    ] {
        let channel = composed(dir.path(), &out(name), &messages).attempt(Attempt::ends(ending));
        let scenario = Scenario::new().channel(case(name).channel(), channel);
        case(name).assert_same(&scenario);

        let call = Call::new(&scenario.version(DceVersion::V2_47));
        let ended = call.finish(call.command(&case(name).argv()).spawn().unwrap());
        assert_eq!(ended.exit, "1", "{name}");
        assert!(ended.stderr.contains(error), "{name}: {}", ended.stderr);
        assert_eq!(count(&call.read("part.json")), 0);
    }
}

#[test]
fn a_scripted_failure_before_the_first_message_fails_at_the_first_page() {
    let call = Call::to(Channel::generated(50, 2).attempt(Attempt::ends(Ending::Unavailable)));
    let ended = call.run(&["--after", "5"]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("/messages?limit=100&after=5' failed: internal server error."));
}

#[test]
fn a_thread_begins_with_its_starter_whatever_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let thread = || thread_with_placeholder(dir.path());
    let whole = |case: &Case| Scenario::new().channel(case.channel(), thread()).channel(PARENT, small());
    for name in ["starter-kept", "starter-after"] {
        case(name).assert_same(&whole(&case(name)));
    }
    // Deleted, or its channel cannot be read: the placeholder.
    let gone = case("starter-gone");
    let thread = Channel::file(out("starter-gone"));
    let scenario = Scenario::new().channel(gone.channel(), thread);
    gone.assert_same(&scenario);
    gone.assert_same(&scenario.channel(PARENT, small()));
}

#[test]
fn version_2_47_writes_the_placeholder_of_a_thread() {
    let dir = tempfile::tempdir().unwrap();
    let kept = case("starter-kept");
    let scenario = Scenario::new()
        .version(DceVersion::V2_47)
        .channel(kept.channel(), thread_with_placeholder(dir.path()))
        .channel(PARENT, small());
    let call = Call::new(&scenario);
    assert_eq!(call.finish(call.command(&kept.argv()).spawn().unwrap()).exit, "0");
    let document = call.read("part.json");
    assert_eq!(ids(&document)[0], 1_258_012_027_125_760_000);
    let first: serde_json::Value = serde_json::from_str(split_first(&document).1).unwrap();
    assert_eq!((&first["type"], &first["content"]), (&"21".into(), &"".into()));
}
