//! Directories to call the stand-in from, and the log of its calls. Failures panic.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{SCENARIO_FILE, Scenario};

/// Name of the log of calls in the scenario's directory: one [`Invocation`] per line.
pub const INVOCATIONS_FILE: &str = "invocations.jsonl";
/// Name under which the stand-in is called: the real program's.
const DCE_NAME: &str = "DiscordChatExporter.Cli";

/// One call of the stand-in, recorded before it does anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    pub pid: u32,
    /// Arguments without the program's name; a token is replaced by `***`.
    pub argv: Vec<String>,
    /// The exported channels, each with the number of this attempt at it, from 1.
    pub attempts: BTreeMap<String, u64>,
}

impl Invocation {
    /// The value of an option such as `--after`.
    pub fn option(&self, name: &str) -> Option<&str> {
        let at = self.argv.iter().position(|argument| argument == name)?;
        self.argv.get(at + 1).map(String::as_str)
    }
}

/// A temporary directory to call the stand-in from. Removed when dropped.
#[derive(Debug)]
pub struct ScenarioDir {
    dir: TempDir,
}

impl ScenarioDir {
    /// Makes the directory with the scenario and a link to the stand-in under the real program's name.
    #[expect(clippy::panic, clippy::expect_used, reason = "test support: a test cannot continue without it")]
    pub fn create(scenario: &Scenario) -> Self {
        let dir = tempfile::Builder::new().prefix("dce-scenario-").tempdir().expect("a temporary directory");
        let standin = standin_binary().unwrap_or_else(|searched| {
            panic!("no dce-standin in {searched}: run `cargo build -p dce-standin` first")
        });
        symlink(standin, dir.path().join(DCE_NAME)).expect("a link to dce-standin");
        let this = Self { dir };
        this.rewrite(scenario);
        this
    }

    /// Replaces the scenario for future calls; earlier attempts still count.
    #[expect(clippy::expect_used, reason = "test support: a test cannot continue without it")]
    pub fn rewrite(&self, scenario: &Scenario) {
        let text = serde_json::to_vec_pretty(scenario).expect("a scenario is JSON");
        let new = self.dir().join("scenario.json.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, self.dir().join(SCENARIO_FILE)))
            .expect("scenario");
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path to call instead of DCE.
    pub fn dce_bin(&self) -> PathBuf {
        self.dir().join(DCE_NAME)
    }

    /// A direct call of the stand-in, in the environment that the worker gives DCE.
    pub fn dce(&self) -> Command {
        let mut command = Command::new(self.dce_bin());
        command.envs([("DISCORD_TOKEN", "any"), ("TZ", "UTC"), ("FUCK_RUSSIA", "1")]);
        command
    }

    /// A direct export of a whole channel into one file.
    pub fn export(&self, channel: &str, file: &Path) -> Command {
        let mut command = self.dce();
        command.args(["export", "-c", channel, "-f", "Json", "--utc", "--markdown", "false", "-o"]).arg(file);
        command
    }

    /// All calls so far, oldest first.
    #[expect(clippy::expect_used, reason = "test support: a test cannot continue without it")]
    pub fn invocations(&self) -> Vec<Invocation> {
        let text = match fs::read_to_string(self.dir().join(INVOCATIONS_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            text => text.expect("the log of invocations"),
        };
        // A last line without a line break is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of invocations.jsonl")).collect()
    }

    /// The calls that exported this channel, oldest first.
    pub fn attempts_at(&self, channel: &str) -> Vec<Invocation> {
        self.invocations().into_iter().filter(|call| call.attempts.contains_key(channel)).collect()
    }
}

/// The built stand-in: beside this executable, or one folder up (tests are in `target/<profile>/deps`).
fn standin_binary() -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let candidates: Vec<_> = exe.ancestors().skip(1).take(2).map(|dir| dir.join("dce-standin")).collect();
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    })
}
