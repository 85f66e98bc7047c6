//! The recordings of DCE 2.48 from the first request to the last.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dce_standin::scenario::{Channel, DceVersion, Scenario, recording};
use dce_testkit::discord::{FakeDiscord, Fault, Post, Route};
use serde_json::Value;

use crate::call::{Call, Ended, line, without_time};

/// The channel of `small`, the parent of the recorded threads.
const PARENT: &str = "900000000000001001";

struct Case {
    dir: PathBuf,
    json: Value,
}

impl Case {
    fn open(name: &str) -> Self {
        let dir = DceVersion::V2_48.recording(name);
        let json = serde_json::from_slice(&fs::read(dir.join("case.json")).unwrap()).unwrap();
        Self { dir, json }
    }

    fn argv(&self) -> Vec<&str> {
        self.json["argv"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect()
    }

    fn channel(&self) -> &str {
        let argv = self.argv();
        argv[argv.iter().position(|argument| *argument == "-c").unwrap() + 1]
    }

    fn stream(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    /// Exit, output, document and requests are the recorded ones.
    fn assert_same(&self, scenario: Scenario, change: impl FnOnce(&FakeDiscord)) {
        let call = Call::new(scenario);
        change(&call.discord);
        let mut command = call.command(&self.argv());
        if let Some(token) = self.json["env"]["DISCORD_TOKEN"].as_str() {
            command.env("DISCORD_TOKEN", token);
        }
        let ended = call.finish(command.spawn().unwrap());
        let name = self.json["case"].as_str().unwrap();

        let requests: Vec<_> = call.discord.requests().iter().map(line).collect();
        let recorded = self.stream("requests").replace("%3A", ":").replace("wrong-token-value", "bot-good");
        assert_eq!(requests, recorded.lines().collect::<Vec<_>>(), "{name}");
        let without_progress = |text: &str| -> String {
            text.split_inclusive('\n').filter(|line| !line.ends_with("%\n")).collect()
        };
        let expected = Ended {
            exit: self.json["exit"].to_string(),
            stdout: without_progress(&self.stream("stdout")),
            stderr: without_body(&self.stream("stderr")),
        };
        let (stdout, stderr) = (without_progress(&ended.stdout), without_body(&ended.stderr));
        assert_eq!(Ended { stdout, stderr, ..ended }, expected, "{name}");
        assert_eq!(without_time(&call.part()), without_time(&self.dir.join("out/part.json")), "{name}");
    }
}

/// DCE's text without the JSON of a refusal, whose fields have no order, and with one kind of line breaks.
fn without_body(stderr: &str) -> String {
    stderr
        .replace("\r\n", "\n")
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("Response content: {"))
        .collect()
}

fn out(name: &str) -> PathBuf {
    DceVersion::V2_48.recording(name).join("out/part.json")
}

fn small() -> Channel {
    Channel::file(recording("small").join("out/part.json"))
}

/// A channel with the head of one recorded document and the messages of `small`.
fn small_named_as(dir: &Path, name: &str) -> Channel {
    let head = fs::read_to_string(out(name)).unwrap();
    let messages = fs::read_to_string(recording("small").join("out/part.json")).unwrap();
    let path = dir.join(format!("{name}.json"));
    let split = |text: &str| {
        let at = text.find("  \"dateRange\"").unwrap();
        (text[..at].to_owned(), text[at..].to_owned())
    };
    fs::write(&path, split(&head).0 + &split(&messages).1).unwrap();
    Channel::file(path)
}

/// A fault of the page after the message that all failing recordings end with.
fn next_page(channel: &str, after: &'static str) -> Fault {
    Fault::on(Route::messages(channel)).matching(move |request| request.parameter("after") == Some(after))
}

/// A fault of the question for the newest message.
fn question(channel: &str) -> Fault {
    Fault::on(Route::messages(channel)).matching(|request| request.parameter("limit") == Some("1")).always()
}

#[test]
fn whole_exports_are_those_of_dce() {
    for name in ["small", "after-last-id", "window-empty"] {
        let case = Case::open(name);
        case.assert_same(Scenario::new().channel(case.channel(), small()), |_| ());
    }
    for name in ["empty", "thread"] {
        let case = Case::open(name);
        case.assert_same(Scenario::new().channel(case.channel(), Channel::file(out(name))), |_| ());
    }
}

#[test]
fn a_refused_question_is_an_empty_channel() {
    for (name, status) in [
        ("probe-400", 400),
        ("probe-400-before", 400),
        ("probe-401", 401),
        ("probe-401-before", 401),
        ("probe-404", 404),
        ("probe-404-before", 404),
        ("probe-500", 500),
    ] {
        let case = Case::open(name);
        let channel = case.channel();
        case.assert_same(Scenario::new().channel(channel, small()), |discord| {
            discord.fault(question(channel).status(status));
        });
    }
    let case = Case::open("probe-429");
    case.assert_same(Scenario::new().channel(case.channel(), small()), |discord| {
        discord.fault(question(case.channel()).rate_limited(Duration::from_secs(1)));
    });
    let (case, dir) = (Case::open("forbidden-messages"), tempfile::tempdir().unwrap());
    let channel = small_named_as(dir.path(), "forbidden-messages");
    case.assert_same(Scenario::new().channel(case.channel(), channel), |discord| {
        discord.forbid_messages(case.channel(), true);
    });
}

#[test]
fn a_failing_page_ends_the_export_with_what_came_before() {
    const LAST: &str = "1258046000988160199";
    let failing = |name: &str, fault: fn(Fault) -> Fault, last: &'static str| {
        let case = Case::open(name);
        let channel = Channel::file(out(name));
        case.assert_same(Scenario::new().channel(case.channel(), channel), |discord| {
            discord.fault(fault(next_page(case.channel(), last).always()));
        });
    };
    // A request without a byte of an answer is sent again three times.
    failing("dies", Fault::drops, "1258071166812160299");
    failing("bad500", |fault| fault.status(500), LAST);
    failing("cloudflare-400", |fault| fault.html(400), LAST);
}

#[test]
fn a_channel_that_is_refused_leaves_no_file() {
    let case = Case::open("forbidden");
    case.assert_same(Scenario::new().channel(case.channel(), small()), |discord| {
        discord.forbid(case.channel(), true);
    });
    let case = Case::open("unknown");
    case.assert_same(Scenario::new().channel(case.channel(), small()), |discord| {
        discord.fault(Fault::on(Route::channel(case.channel())).status(404));
    });
    let case = Case::open("bad-token");
    case.assert_same(Scenario::new().token("bot-good").channel(case.channel(), small()), |_| ());
}

#[test]
fn blank_messages_of_a_bot_without_the_intent_end_the_export() {
    let (case, dir) = (Case::open("no-intent"), tempfile::tempdir().unwrap());
    let channel = small_named_as(dir.path(), "no-intent");
    case.assert_same(Scenario::new().channel(case.channel(), channel), |discord| {
        discord.content_intent(false);
    });
}

/// The thread of `starter-kept` and `starter-after`, whose first message is a placeholder on Discord.
fn thread_without_starter(dir: &Path) -> Channel {
    let document = fs::read_to_string(out("starter-kept")).unwrap();
    let start = document.find("    {\n").unwrap();
    let end = start + document[start..].find("\n    },\n").unwrap() + "\n    },\n".len();
    let path = dir.join("thread.json");
    let rest = document[end..].replace("\"messageCount\": 6", "\"messageCount\": 5");
    fs::write(&path, format!("{}{rest}", &document[..start])).unwrap();
    Channel::file(path)
}

#[test]
fn a_starter_is_asked_of_the_parent() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["starter-kept", "starter-after"] {
        let case = Case::open(name);
        let scenario = Scenario::new()
            .channel(case.channel(), thread_without_starter(dir.path()))
            .channel(PARENT, small());
        let starter = case.channel().parse().unwrap();
        case.assert_same(scenario, |discord| {
            let placeholder = Post::new(1_258_012_027_125_760_000).thread_starter(PARENT, starter);
            discord.post(case.channel(), placeholder.author(800_000_000_000_000_015));
        });
    }
    let case = Case::open("starter-gone");
    let thread = Channel::file(out("starter-gone"));
    let scenario = Scenario::new().channel(case.channel(), thread).channel(PARENT, small());
    case.assert_same(scenario, |discord| discord.delete(PARENT, case.channel().parse().unwrap()));
}
