//! The selection of messages, output paths and parts.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario, recording};

use crate::call::{CHANNEL, Call, count, ids, wait_until};

#[test]
fn each_message_is_copied_byte_for_byte() {
    let source = recording("weird").join("out/part.json");
    let text = fs::read_to_string(&source).unwrap();
    let call = Call::to(Channel::file(&source));
    assert_eq!(call.run(&["--after", "1257996172656640001"]).exit, "0");
    let first = "    {\n      \"id\": \"1257996424314880002\"";
    let messages = |text: &str| {
        let from = text.find(first).unwrap();
        text[from..].split_once("\n  ],\n  \"messageCount\"").unwrap().0.to_owned()
    };
    let served = call.read("part.json");
    assert_eq!(messages(&served), messages(&text));
    assert_eq!(count(&served), 6);
    assert!(served.contains("\"after\": \"2024-07-03T09:47:40+00:00\","));
}

#[test]
fn a_document_in_another_layout_or_not_closed_is_copied_whole() {
    let small = fs::read(recording("small").join("out/part.json")).unwrap();
    let compact = serde_json::to_vec(&serde_json::from_slice::<serde_json::Value>(&small).unwrap()).unwrap();
    let empty = fs::read(recording("empty").join("out/part.json")).unwrap();
    let cut = [&small[..small.len() - 40], &small[..small.len() - 2], &empty[..empty.len() - 2]];
    let odd = [compact, b"no JSON at all".to_vec(), Vec::new()];
    for document in cut.map(<[u8]>::to_vec).into_iter().chain(odd) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("odd.json"), &document).unwrap();
        let call = Call::to(Channel::file(dir.path().join("odd.json")));
        assert_eq!(call.run(&["--after", "1257996172656640001", "-p", "3"]).exit, "0");
        assert_eq!(fs::read(call.path("part.json")).unwrap(), document);
    }
}

#[test]
fn a_generated_channel_is_deterministic_and_can_be_resumed() {
    let call = Call::to(Channel::generated(2_500, 7).attempt(Attempt::ends_after(900, Ending::Dropped)));
    assert_eq!(call.run(&["-p", "400"]).exit, "1");
    let parts = ["part.json", "part [part 2].json", "part [part 3].json"].map(|part| call.read(part));
    assert_eq!(parts.each_ref().map(|part| count(part)), [400, 400, 100]);
    let begun: Vec<_> = parts.iter().flat_map(|part| ids(part)).collect();

    let cursor = begun[899].to_string();
    assert_eq!(call.run(&["--after", &cursor]).exit, "0");
    let rest = ids(&call.read("part.json"));
    assert_eq!(call.run(&[]).exit, "0");
    let whole = call.read("part.json");
    assert_eq!(count(&whole), 2_500);
    assert_eq!(ids(&whole), [begun, rest].concat());

    let numbers: Vec<_> =
        call.scenario.attempts_at(CHANNEL).iter().map(|call| call.attempts[CHANNEL]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(call.scenario.invocations()[1].option("--after"), Some(cursor.as_str()));
}

#[test]
fn attempts_are_counted_across_processes_and_no_token_is_recorded() {
    let call = Call::to(Channel::generated(3, 1));
    let argv = ["export", "-t", "bot-secret", "-c", CHANNEL, "-f", "Json", "-o"];
    let children: Vec<_> = (0..12)
        .map(|number| call.command(&[&argv[..], &[&format!("OUT/{number}.json")]].concat()).spawn().unwrap())
        .collect();
    for child in children {
        assert_eq!(call.finish(child).exit, "0");
    }
    let mut numbers: Vec<_> =
        call.scenario.attempts_at(CHANNEL).iter().map(|call| call.attempts[CHANNEL]).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    for entry in fs::read_dir(call.scenario.dir()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() && !entry.is_symlink() {
            assert!(!fs::read_to_string(&entry).unwrap().contains("bot-secret"), "{}", entry.display());
        }
    }
}

#[test]
fn folders_get_dces_file_names_and_templates_are_filled_in() {
    let call = Call::to(Channel::file(recording("small").join("out/part.json")));
    let export = |output: &str| {
        let argv = ["export", "-c", CHANNEL, "-f", "Json", "-o", output, "--after", "1257997179289600005"];
        let ended = call.finish(call.command(&argv).spawn().unwrap());
        assert_eq!(ended.exit, "0", "{}", ended.stderr);
    };
    export("OUT/deep/er/");
    export("OUT/100%%-%c.json");
    let name = "Test _ Guild 길드 - 카테고리 - small-일반 [900000000000001001] (after 2024-07-03).json";
    assert_eq!(count(&call.read(&format!("deep/er/{name}"))), 6);
    assert_eq!(count(&call.read("100%-900000000000001001.json")), 6);
}

#[test]
fn with_a_rate_the_file_grows_message_by_message_and_part_two_follows_a_closed_part_one() {
    let call = Call::to(Channel::generated(60, 1).rate(100));
    let mut child = call.export(&["-p", "40"]).spawn().unwrap();
    let (mut sizes, first, second) = (Vec::new(), call.path("part.json"), call.path("part [part 2].json"));
    wait_until("part 2", || {
        if let Ok(size) = fs::metadata(&first).map(|metadata| metadata.size())
            && sizes.last() != Some(&size)
        {
            sizes.push(size);
        }
        second.exists()
    });
    assert_eq!(count(&call.read("part.json")), 40, "part 1 is closed before part 2 exists");
    assert!(sizes.len() > 10, "only {} sizes seen", sizes.len());
    assert!(child.wait().unwrap().success());
    assert_eq!(count(&call.read("part [part 2].json")), 20);
}

#[test]
fn several_channels_fail_only_if_all_of_them_do() {
    let small = || Channel::file(recording("small").join("out/part.json"));
    let forbidden = small().attempt(Attempt::ends(Ending::ForbiddenMessages));
    let scenario = Scenario::new().version(DceVersion::V2_47).channel("1", small()).channel("2", forbidden);
    let call = Call::new(&scenario);
    let argv = ["export", "-c", "1", "2", "-f", "Json", "-o"];
    let ended = call.finish(call.command(&[&argv[..], &["OUT/%d-%p/"]].concat()).spawn().unwrap());
    assert_eq!(ended.exit, "0");
    assert_eq!(ended.stdout.lines().nth(1), Some("Exporting 2 channel(s)..."));
    assert_eq!(
        ended.stderr,
        "Failed to export the following channel(s):\n카테고리 / small-일반: Request to 'channels/2/messages?limit=1' failed: forbidden.\n\n"
    );
    let ended = call.finish(call.command(&[&argv[..], &["OUT/one.json"]].concat()).spawn().unwrap());
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.starts_with("Attempted to export multiple channels"), "{}", ended.stderr);
}

#[test]
fn an_error_names_a_missing_or_invalid_scenario() {
    let call = Call::new(&Scenario::new());
    let scenario = call.scenario.dir().join("scenario.json");
    let run = || call.finish(call.command(&["--version"]).spawn().unwrap());
    fs::write(&scenario, r#"{"channels": {"1": {"file": "a", "rte": 3}}}"#).unwrap();
    let ended = run();
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("scenario.json is not valid: unknown field `rte`"), "{}", ended.stderr);
    fs::remove_file(&scenario).unwrap();
    let ended = run();
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("dce-standin: no scenario.json in"), "{}", ended.stderr);
}
