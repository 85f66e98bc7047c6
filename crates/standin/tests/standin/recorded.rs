//! Every recording is reproduced, by replay and from a channel's messages.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario, recording};
use serde_json::Value;

use crate::call::{Call, Ended, files};

/// A recorded case.
struct Case {
    name: String,
    dir: PathBuf,
    json: Value,
}

impl Case {
    fn open(name: &str) -> Self {
        let dir = recording(name);
        let json = serde_json::from_slice(&fs::read(dir.join("case.json")).unwrap()).unwrap();
        Self { name: name.into(), dir, json }
    }

    fn argv(&self) -> Vec<&str> {
        match self.json["argv"].as_array() {
            Some(argv) => argv.iter().map(|argument| argument.as_str().unwrap()).collect(),
            None => vec!["export", "-c", "900000000000001002", "-f", "Json", "--utc", "-o", "OUT/part.json"],
        }
    }

    fn channel(&self) -> String {
        let argv = self.argv();
        let at = argv.iter().position(|argument| *argument == "-c").unwrap();
        argv[at + 1].into()
    }

    fn stream(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// Calls the stand-in with the recorded arguments.
    fn call(&self, scenario: &Scenario) -> (Call, Ended) {
        let call = Call::new(scenario);
        let mut command = call.command(&self.argv());
        for (name, value) in self.json["env"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let ended = call.finish(command.spawn().unwrap());
        (call, ended)
    }

    /// Compares all but the lines of progress, which depend on the machine.
    fn assert_same(&self, scenario: &Scenario) {
        let (call, ended) = self.call(scenario);
        let exit = self.json["exit"].as_str().map_or_else(|| self.json["exit"].to_string(), String::from);
        let recorded =
            Ended { exit, stdout: without_progress(&self.stream("stdout")), stderr: self.stream("stderr") };
        assert_eq!(Ended { stdout: without_progress(&ended.stdout), ..ended }, recorded, "{}", self.name);
        assert_eq!(undated(files(call.out.path())), undated(files(&self.dir.join("out"))), "{}", self.name);
    }
}

/// Removes the day of the call, which a template may have added to the name.
fn undated(files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_date = |text: &str| {
        text.bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let undated = |name: String| {
        let date = (0..name.len())
            .find_map(|at| name.get(at..at + 10).filter(|text| is_date(text)).map(str::to_owned));
        date.map_or(name.clone(), |date| name.replacen(&date, "DATE", 1))
    };
    files.into_iter().map(|(name, text)| (undated(name), text)).collect()
}

fn without_progress(stdout: &str) -> String {
    stdout.split_inclusive('\n').filter(|line| !line.ends_with("%\n")).collect()
}

fn out(case: &str) -> PathBuf {
    recording(case).join("out/part.json")
}

/// A channel with the head of one recorded document and the messages of another.
fn composed(dir: &Path, head: &str, messages: &str) -> Channel {
    let path = dir.join(format!("{head}-{messages}.json"));
    let (head, messages) =
        (fs::read_to_string(out(head)).unwrap(), fs::read_to_string(out(messages)).unwrap());
    let head = head.split_once("  \"dateRange\"").unwrap().0;
    let rest = messages.split_once("  \"dateRange\"").unwrap().1;
    fs::write(&path, format!("{head}  \"dateRange\"{rest}")).unwrap();
    Channel::file(path)
}

#[test]
fn every_recording_can_be_replayed() {
    let mut replayed = 0;
    for entry in fs::read_dir(recording("")).unwrap() {
        let case = Case::open(entry.unwrap().file_name().to_str().unwrap());
        // Recordings that end before a channel is exported are tested below; `stalls` does not end.
        if case.json["killed_by_recorder_after_s"].is_null() && case.argv().contains(&"-o") {
            let channel = case.channel();
            if channel.parse::<u64>().is_ok() {
                case.assert_same(&Scenario::new().channel(channel, Channel::case(&case.dir)));
                replayed += 1;
            }
        }
    }
    assert!(replayed >= 60, "only {replayed} recordings found");
}

#[test]
fn a_replay_respects_the_requested_window_and_parts() {
    let call = Call::to(Channel::case(recording("dies")));
    let all = crate::call::ids(&fs::read_to_string(out("dies")).unwrap());
    let ended = call.run(&["--after", &all[249].to_string(), "-p", "30"]);
    assert_eq!((ended.exit.as_str(), ended.stderr), ("1", Case::open("dies").stream("stderr")));
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
        "version",
        "guide",
        "help-export",
    ] {
        Case::open(name).assert_same(&Scenario::new());
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
        let case = Case::open(case);
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
        let case = Case::open(name);
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
        let case = Case::open(case);
        case.assert_same(&Scenario::new().channel(case.channel(), channel));
    }
    Case::open("unknown").assert_same(&Scenario::new());
    Case::open("bad-token").assert_same(&Scenario::new().token("bot-good"));
}

#[test]
fn a_forum_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        fs::read_to_string(out("empty")).unwrap().replace("\"name\": \"empty\"", "\"name\": \"forum\"");
    let text = text.replace("\"category\": \"카테고리\"", "\"category\": null");
    let path = dir.path().join("forum.json");
    fs::write(&path, text).unwrap();
    let case = Case::open("forum");
    case.assert_same(
        &Scenario::new().channel(case.channel(), Channel::file(path).attempt(Attempt::ends(Ending::Forum))),
    );
}
