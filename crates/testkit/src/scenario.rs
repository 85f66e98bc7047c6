//! What the `dce-standin` program plays: scenario files, and the directories that tests run it from.
//!
//! The stand-in is called like `DiscordChatExporter` itself, so all it can be told beforehand is a
//! `scenario.json` beside the name it is called by. [`ScenarioDir`] makes such a directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Name of the scenario in its directory.
pub const SCENARIO_FILE: &str = "scenario.json";
/// Name of the record of invocations in the scenario's directory: one [`Invocation`] per line.
pub const INVOCATIONS_FILE: &str = "invocations.jsonl";
/// Name under which tests call the stand-in: the real program's.
const DCE_NAME: &str = "DiscordChatExporter.Cli";

/// A whole scenario: who may call, and what each channel holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The token that is good; with another the stand-in ends as DCE does on an invalid one. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Channels by id; any other id is unknown to Discord.
    #[serde(default)]
    pub channels: BTreeMap<String, Channel>,
}

impl Scenario {
    /// A scenario without channels, which accepts every token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts this token only.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds a channel, or replaces the one of that id.
    #[must_use]
    pub fn channel(mut self, id: impl Into<String>, channel: Channel) -> Self {
        self.channels.insert(id.into(), channel);
        self
    }
}

/// One channel: its messages, their pace, and what happens at each attempt to export it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ChannelEntry", into = "ChannelEntry")]
pub struct Channel {
    /// Where its messages come from.
    pub source: Source,
    /// Messages per second; none = as fast as the disk takes them.
    pub rate: Option<NonZeroU32>,
    /// What happens at the first, second, … attempt; further ones end well.
    pub attempts: Vec<Attempt>,
}

/// Where a channel's messages come from. Paths are absolute or relative to the scenario's directory.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A DCE JSON export: each message is passed on byte for byte. A file in any other layout, or one that
    /// is not closed, is passed on whole, whatever was asked for.
    File(PathBuf),
    /// A recording of the real DCE (a folder with `case.json`), replayed at every attempt.
    Case(PathBuf),
    /// A synthetic channel, the same for the same values.
    Generate(Generate),
}

/// A synthetic channel of any size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// How many messages.
    pub messages: u64,
    /// Chooses their content.
    pub seed: u64,
}

impl Channel {
    fn from_source(source: Source) -> Self {
        Self { source, rate: None, attempts: Vec::new() }
    }

    /// Serves the messages of a DCE export.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::from_source(Source::File(path.into()))
    }

    /// Replays a recording at every attempt.
    pub fn case(path: impl Into<PathBuf>) -> Self {
        Self::from_source(Source::Case(path.into()))
    }

    /// Serves `messages` synthetic messages, chosen by `seed`.
    pub fn generated(messages: u64, seed: u64) -> Self {
        Self::from_source(Source::Generate(Generate { messages, seed }))
    }

    /// Writes this many messages per second (0 = full speed).
    #[must_use]
    pub fn rate(mut self, messages_per_second: u32) -> Self {
        self.rate = NonZeroU32::new(messages_per_second);
        self
    }

    /// Says what happens at the next attempt that nothing was said about.
    #[must_use]
    pub fn attempt(mut self, attempt: Attempt) -> Self {
        self.attempts.push(attempt);
        self
    }
}

/// What happens at one attempt to export a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AttemptEntry", into = "AttemptEntry")]
pub enum Attempt {
    /// A recording is replayed in place of the channel's own messages.
    Replay(PathBuf),
    /// The channel's messages, up to an ending.
    Play {
        /// Messages written before the ending; none = as many as [`Ending`] says. With fewer messages
        /// selected than this, the ending comes after the last of them.
        after_messages: Option<u64>,
        /// How it ends.
        then: Ending,
    },
}

impl Attempt {
    /// Ends as said, before the first message (`Complete`: after the last).
    pub fn ends(then: Ending) -> Self {
        Self::Play { after_messages: None, then }
    }

    /// Ends as said, after this many messages.
    pub fn ends_after(messages: u64, then: Ending) -> Self {
        Self::Play { after_messages: Some(messages), then }
    }

    /// Replays a recording.
    pub fn replay(case: impl Into<PathBuf>) -> Self {
        Self::Replay(case.into())
    }
}

/// How an attempt ends. Unless said otherwise DCE closes its document, so that it is valid and too small,
/// and exits with 1; the name in brackets is the recording whose words are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Exit 0, as if there were no more messages.
    Complete,
    /// Discord closes the connection [dies].
    Dropped,
    /// Discord answers 500 for good [bad500].
    Unavailable,
    /// Discord answers 429 for good, with `retry_after` in the body [limited].
    RateLimited,
    /// The edge answers 400 with a page of HTML [cloudflare-400].
    BadRequest,
    /// Nothing listens where Discord should be; before the first message there is no file [discord-down].
    Unreachable,
    /// The token is invalid; before the first message there is no file [bad-token].
    InvalidToken,
    /// 403 on the channel: no file [forbidden].
    Forbidden,
    /// 404 on the channel: no file [unknown].
    Unknown,
    /// The channel is a forum: no file [forum].
    Forum,
    /// 403 on its messages [forbidden-messages].
    ForbiddenMessages,
    /// The bot may not see message content [no-intent].
    NoIntent,
    /// A message that DCE itself cannot read [lone-surrogate].
    Unreadable,
    /// The disk is full: the document is cut off inside the next message [disk-full].
    DiskFull,
    /// Stopped inside a message: the next message is cut short after an element of one of its arrays, then
    /// the postamble closes it and nothing else [sigint-inside-message].
    CutInside,
    /// No more growth until a signal comes; SIGINT ends it in order [stalls].
    Hang,
    /// No more growth, and SIGINT is not heeded: only SIGKILL ends it.
    Deaf,
    /// Exit 1 without a word.
    Silent,
    /// Aborts (SIGABRT): no postamble.
    Crash,
    /// Killed by SIGKILL: no postamble [sigkill].
    Sigkill,
    /// Killed by SIGTERM: no postamble [sigterm].
    Sigterm,
    /// Takes the worker with it: SIGABRT to whoever started it.
    KillsWorker,
}

/// [`Channel`] as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generate: Option<Generate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
}

impl TryFrom<ChannelEntry> for Channel {
    type Error = &'static str;

    fn try_from(entry: ChannelEntry) -> Result<Self, Self::Error> {
        let source = match (entry.file, entry.case, entry.generate) {
            (Some(path), None, None) => Source::File(path),
            (None, Some(path), None) => Source::Case(path),
            (None, None, Some(generate)) => Source::Generate(generate),
            _ => return Err("a channel needs exactly one of `file`, `case` and `generate`"),
        };
        Ok(Self { source, rate: entry.rate, attempts: entry.attempts })
    }
}

impl From<Channel> for ChannelEntry {
    fn from(channel: Channel) -> Self {
        let mut entry =
            Self { file: None, case: None, generate: None, rate: channel.rate, attempts: channel.attempts };
        match channel.source {
            Source::File(path) => entry.file = Some(path),
            Source::Case(path) => entry.case = Some(path),
            Source::Generate(generate) => entry.generate = Some(generate),
        }
        entry
    }
}

/// [`Attempt`] as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_messages: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    then: Option<Ending>,
}

impl TryFrom<AttemptEntry> for Attempt {
    type Error = &'static str;

    fn try_from(entry: AttemptEntry) -> Result<Self, Self::Error> {
        match entry {
            AttemptEntry { case: Some(case), after_messages: None, then: None } => Ok(Self::Replay(case)),
            AttemptEntry { case: None, after_messages, then: Some(then) } => {
                Ok(Self::Play { after_messages, then })
            }
            _ => Err("an attempt is either a `case` or a `then` with or without `after_messages`"),
        }
    }
}

impl From<Attempt> for AttemptEntry {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Replay(case) => Self { case: Some(case), after_messages: None, then: None },
            Attempt::Play { after_messages, then } => Self { case: None, after_messages, then: Some(then) },
        }
    }
}

/// One call of the stand-in, as it noted it before it did anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// Its process id.
    pub pid: u32,
    /// Its arguments without the program's name; a token among them is replaced by `***`.
    pub argv: Vec<String>,
    /// The channels it exports, each with the number of this attempt at it, from 1.
    pub attempts: BTreeMap<String, u64>,
}

impl Invocation {
    /// The value after an option, such as `--after`.
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
    /// Makes the directory: the scenario, and a link to the stand-in under the real program's name.
    ///
    /// # Panics
    /// If `dce-standin` has not been built (the message says how to build it) or the directory cannot be
    /// written.
    #[expect(clippy::panic, clippy::expect_used, reason = "support of tests: they cannot go on without it")]
    pub fn create(scenario: &Scenario) -> Self {
        let dir = tempfile::Builder::new().prefix("dce-scenario-").tempdir().expect("a temporary directory");
        let standin = standin_binary().unwrap_or_else(|searched| {
            panic!("no dce-standin in {searched}: run `cargo build -p dce-testkit --bin dce-standin` first")
        });
        symlink(standin, dir.path().join(DCE_NAME)).expect("a link to dce-standin");
        let this = Self { dir };
        this.rewrite(scenario);
        this
    }

    /// Replaces the scenario for the calls to come; attempts made so far still count.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[expect(clippy::expect_used, reason = "support of tests: they cannot go on without it")]
    pub fn rewrite(&self, scenario: &Scenario) {
        let text = serde_json::to_vec_pretty(scenario).expect("a scenario is JSON");
        let new = self.dir().join("scenario.json.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, self.dir().join(SCENARIO_FILE)))
            .expect("scenario");
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What to call instead of DCE.
    pub fn dce_bin(&self) -> PathBuf {
        self.dir().join(DCE_NAME)
    }

    /// The stand-in by hand, in the environment that the worker gives DCE.
    pub fn dce(&self) -> Command {
        let mut command = Command::new(self.dce_bin());
        command.envs([("DISCORD_TOKEN", "any"), ("TZ", "UTC"), ("FUCK_RUSSIA", "1")]);
        command
    }

    /// An export of a whole channel into one file, by hand.
    pub fn export(&self, channel: &str, file: &Path) -> Command {
        let mut command = self.dce();
        command.args(["export", "-c", channel, "-f", "Json", "--utc", "--markdown", "false", "-o"]).arg(file);
        command
    }

    /// All calls so far, oldest first.
    ///
    /// # Panics
    /// If the record cannot be read.
    #[expect(clippy::expect_used, reason = "support of tests: they cannot go on without it")]
    pub fn invocations(&self) -> Vec<Invocation> {
        let text = match fs::read_to_string(self.dir().join(INVOCATIONS_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            text => text.expect("the record of invocations"),
        };
        // Its last line is in writing as long as it has no end.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of invocations.jsonl")).collect()
    }

    /// The calls that exported this channel, oldest first.
    pub fn attempts_at(&self, channel: &str) -> Vec<Invocation> {
        self.invocations().into_iter().filter(|call| call.attempts.contains_key(channel)).collect()
    }
}

/// The folder of a recording of the real DCE, for [`Channel::case`], [`Attempt::replay`] or the file below it.
pub fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings").join(name)
}

/// The built stand-in: beside this executable, or one up (tests lie in `target/<profile>/deps`).
fn standin_binary() -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let candidates: Vec<_> = exe.ancestors().skip(1).take(2).map(|dir| dir.join("dce-standin")).collect();
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    })
}
