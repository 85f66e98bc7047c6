//! Calls the stand-in as the worker calls DCE, and parses its output.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use dce_standin::scenario::{Channel, Scenario, ScenarioDir};
use tempfile::TempDir;

/// The channel of most tests.
pub(crate) const CHANNEL: &str = "900000000000001001";
/// Bound of every wait, ten times longer than any wait here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A scenario and a folder for its output.
pub(crate) struct Call {
    pub(crate) scenario: ScenarioDir,
    pub(crate) out: TempDir,
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// `1`, or `signal 9`, as in the recordings.
    pub(crate) exit: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Call {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self { scenario: ScenarioDir::create(scenario), out: TempDir::new().unwrap() }
    }

    /// A scenario of one channel, [`CHANNEL`].
    pub(crate) fn to(channel: Channel) -> Self {
        Self::new(&Scenario::new().channel(CHANNEL, channel))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.out.path().join(name)
    }

    /// The command with these arguments, `OUT` in them replaced by the output folder.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let out = self.out.path().to_str().unwrap();
        let mut command = Command::new(self.scenario.dce_bin());
        command
            .args(argv.iter().map(|argument| argument.replace("OUT", out)))
            .env_clear()
            .envs([("DISCORD_TOKEN", "bot-good"), ("FUCK_RUSSIA", "1"), ("TZ", "UTC"), ("TERM", "dumb")])
            .current_dir(out)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The command that exports [`CHANNEL`] to `part.json`.
    pub(crate) fn export(&self, more: &[&str]) -> Command {
        let argv =
            ["export", "-c", CHANNEL, "-f", "Json", "--utc", "--markdown", "false", "-o", "OUT/part.json"];
        self.command(&[&argv, more].concat())
    }

    pub(crate) fn run(&self, more: &[&str]) -> Ended {
        self.finish(self.export(more).spawn().unwrap())
    }

    /// Waits for the end; the output folder in its texts becomes `OUT` again.
    pub(crate) fn finish(&self, child: Child) -> Ended {
        let output = child.wait_with_output().unwrap();
        let out = self.out.path().to_str().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(out, "OUT");
        Ended { exit: exit(output.status), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Waits until `part.json` holds this many messages.
    pub(crate) fn wait_for_messages(&self, count: usize) {
        wait_until("messages in part.json", || {
            fs::read_to_string(self.path("part.json")).is_ok_and(|text| ids(&text).len() >= count)
        });
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn exit(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => status.code().unwrap().to_string(),
    }
}

/// The files below a folder with their content, without the line that differs from run to run.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeMap::new() };
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), without_time(&text))
        })
        .collect()
}

/// A document without its `exportedAt`.
pub(crate) fn without_time(document: &str) -> String {
    let (mut text, mut times) = (String::new(), 0);
    for line in document.split_inclusive('\n') {
        if line.starts_with("  \"exportedAt\": \"") {
            times += 1;
        } else {
            text.push_str(line);
        }
    }
    assert_eq!(times, 1, "one exportedAt in each document");
    text
}

/// The ids of the messages whose first lines are written.
pub(crate) fn ids(document: &str) -> Vec<u64> {
    document
        .split("\n    {\n      \"id\": \"")
        .skip(1)
        .filter_map(|message| message.split_once('"')?.0.parse().ok())
        .collect()
}

/// The message count of a closed document, which must be valid JSON with the right count.
pub(crate) fn count(document: &str) -> usize {
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    let messages = value["messages"].as_array().unwrap().len();
    assert_eq!(value["messageCount"], messages);
    messages
}
