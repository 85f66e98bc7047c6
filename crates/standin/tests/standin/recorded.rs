//! Every recording is reproduced, by replay and from a channel's messages.

use std::fs;
use std::path::{Path, PathBuf};

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario, recording};

use crate::call::Call;
use crate::case::Case;

fn out(case: &str) -> PathBuf {
    recording(case).join("out/part.json")
}

fn composed(dir: &Path, head: &str, messages: &str) -> Channel {
    crate::case::composed(dir, &out(head), &out(messages))
}

#[test]
fn every_recording_can_be_replayed() {
    for (version, least) in [(DceVersion::V2_47, 60), (DceVersion::V2_48, 35)] {
        let mut replayed = 0;
        for case in Case::all(version) {
            // Recordings that end before a channel is exported are tested below; `stalls` does not end.
            if case.json["killed_by_recorder_after_s"].is_null() && case.argv().contains(&"-o") {
                let channel = case.channel();
                if channel.parse::<u64>().is_ok() {
                    case.assert_same(&Scenario::new().channel(channel, Channel::case(&case.dir)));
                    replayed += 1;
                }
            }
        }
        assert!(replayed >= least, "only {replayed} recordings of {version:?} found");
    }
}

#[test]
fn a_replay_respects_the_requested_window_and_parts() {
    let call = Call::to(Channel::case(recording("dies")));
    let all = crate::call::ids(&fs::read_to_string(out("dies")).unwrap());
    let ended = call.run(&["--after", &all[249].to_string(), "-p", "30"]);
    assert_eq!(
        (ended.exit.as_str(), ended.stderr),
        ("1", Case::open(DceVersion::V2_47, "dies").stream("stderr"))
    );
    let (one, two) = (call.read("part.json"), call.read("part [part 2].json"));
    assert_eq!((crate::call::count(&one), crate::call::count(&two)), (30, 20));
    assert_eq!([crate::call::ids(&one), crate::call::ids(&two)].concat(), all[250..]);
}

#[test]
fn wrong_command_lines_are_refused_with_dces_errors() {
    for name in [
        "bad-option",
        "bad-channel",
        "no-token",
        "after-nonsense",
        "filter-bad",
        "filter-option-injection",
        "guide",
        "help-export",
    ] {
        Case::open(DceVersion::V2_47, name).assert_same(&Scenario::new());
    }
}

#[test]
fn a_served_file_is_identical_to_dces() {
    for (case, source) in [
        ("small", "small"),
        ("banner", "small"),
        ("partition-5", "small"),
        ("partition-size", "small"),
        ("filter", "small"),
        ("filter-nothing", "small"),
        ("filter-negated-space", "small"),
        ("after-last-id", "small"),
        ("window-empty", "small"),
        ("advisory", "small"),
        ("advisory-off", "small"),
        ("after-2010", "small"),
        ("after-date", "small"),
        ("after-id", "small"),
        ("before-channel", "small"),
        ("before-date", "small"),
        ("directory", "small"),
        ("no-icu", "small"),
        ("overwrite", "small"),
        ("percent", "small"),
        ("small-user-token", "small"),
        ("small-markdown", "small-markdown"),
        ("dm-export", "dm-export"),
        ("group-dm-export", "group-dm-export"),
        ("thread-archived", "thread-archived"),
        ("weird", "weird"),
        ("thread", "thread"),
        ("empty", "empty"),
        ("reactions", "reactions"),
    ] {
        let case = Case::open(DceVersion::V2_47, case);
        case.assert_same(&Scenario::new().channel(case.channel(), Channel::file(out(source))));
    }
}

#[test]
fn messages_in_the_millisecond_of_the_bound_are_exported_as_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (early, late) = (
        fs::read_to_string(out("before-same-ms")).unwrap(),
        fs::read_to_string(out("after-same-ms")).unwrap(),
    );
    let last_early = "\n    {\n      \"id\": \"1257995933581312006\"";
    let (early, late) = (early.split_once(last_early).unwrap().0, late.split_once(last_early).unwrap().1);
    let path = dir.path().join("whole.json");
    fs::write(&path, format!("{early}{last_early}{late}")).unwrap();
    for name in ["after-same-ms", "before-same-ms"] {
        let case = Case::open(DceVersion::V2_47, name);
        case.assert_same(&Scenario::new().channel(case.channel(), Channel::file(&path)));
    }
}

#[test]
fn endings_print_the_recorded_errors() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ends = |then| Attempt::ends(then);
    let after = Attempt::ends_after;
    let file = |case: &str| Channel::file(out(case));
    for (case, channel) in [
        ("dies", file("dies").attempt(after(300, Ending::Dropped))),
        ("bad500", file("bad500").attempt(after(200, Ending::Unavailable))),
        ("limited", file("limited").attempt(after(200, Ending::RateLimited))),
        ("cloudflare-400", file("cloudflare-400").attempt(after(200, Ending::BadRequest))),
        ("discord-down", file("small").attempt(ends(Ending::Unreachable))),
        ("forbidden", file("small").attempt(ends(Ending::Forbidden))),
        (
            "forbidden-messages",
            composed(dir, "forbidden-messages", "small").attempt(ends(Ending::ForbiddenMessages)),
        ),
        ("no-intent", composed(dir, "no-intent", "small").attempt(ends(Ending::NoIntent))),
        ("lone-surrogate", composed(dir, "lone-surrogate", "small").attempt(ends(Ending::Unreadable))),
    ] {
        let case = Case::open(DceVersion::V2_47, case);
        case.assert_same(&Scenario::new().channel(case.channel(), channel));
    }
    Case::open(DceVersion::V2_47, "unknown").assert_same(&Scenario::new());
    Case::open(DceVersion::V2_47, "bad-token").assert_same(&Scenario::new().token("bot-good"));
}

#[test]
fn a_forum_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        fs::read_to_string(out("empty")).unwrap().replace("\"name\": \"empty\"", "\"name\": \"forum\"");
    let text = text.replace("\"category\": \"카테고리\"", "\"category\": null");
    let path = dir.path().join("forum.json");
    fs::write(&path, text).unwrap();
    let case = Case::open(DceVersion::V2_47, "forum");
    case.assert_same(
        &Scenario::new().channel(case.channel(), Channel::file(path).attempt(Attempt::ends(Ending::Forum))),
    );
}
