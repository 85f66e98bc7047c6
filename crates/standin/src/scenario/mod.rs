//! The format of `scenario.json`: who may call the stand-in, and what each channel holds and does.
//!
//! The stand-in is called like `DiscordChatExporter` itself, so a `scenario.json` beside the name it is called by is the
//! only way to instruct it. [`ScenarioDir`] makes such a directory.

mod directory;
mod json;
mod version;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use directory::{INVOCATIONS_FILE, Invocation, ScenarioDir};
use json::{AttemptEntry, ChannelEntry};
pub use version::{DceVersion, recording};

/// Name of the scenario in its directory.
pub const SCENARIO_FILE: &str = "scenario.json";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The imitated version of DCE.
    #[serde(default, skip_serializing_if = "DceVersion::is_default")]
    pub version: DceVersion,
    /// The valid token; with another one the stand-in ends as DCE does on an invalid token. Absent: any token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Waits between requests to Discord take milliseconds instead of DCE's seconds and minutes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hasty: bool,
    /// Channels by id; every other id is unknown to Discord.
    #[serde(default)]
    pub channels: BTreeMap<String, Channel>,
}

impl Scenario {
    /// A scenario without channels, which accepts every token.
    pub fn new() -> Self {
        Self::default()
    }

    /// Imitates this version of DCE.
    #[must_use]
    pub fn version(mut self, version: DceVersion) -> Self {
        self.version = version;
        self
    }

    /// Cuts the waits between requests to Discord to milliseconds.
    #[must_use]
    pub fn hasty(mut self, hasty: bool) -> Self {
        self.hasty = hasty;
        self
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

/// One channel: its messages, their rate, and the result of each attempt to export it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ChannelEntry", into = "ChannelEntry")]
pub struct Channel {
    pub source: Source,
    /// Messages per second; none: as fast as the disk allows.
    pub rate: Option<NonZeroU32>,
    /// Exports the channel by HTTP from the Discord at `DISCORD_API_URL`, with DCE's requests and DCE's decisions, instead
    /// of reading the source itself.
    pub asks_discord: bool,
    /// The first, second, … attempt; further ones complete.
    pub attempts: Vec<Attempt>,
}

/// Where a channel's messages come from. Paths are absolute or relative to the scenario's directory.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A DCE JSON export: each message is copied byte for byte. A file in any other layout, or one that is not closed,
    /// is copied whole, whatever was requested.
    File(PathBuf),
    /// A recording of the real DCE (a folder with `case.json`), replayed at every attempt.
    Case(PathBuf),
    /// A synthetic channel, the same for the same parameters.
    Generate(Generate),
}

/// A synthetic channel of any size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub messages: u64,
    /// Decides their content.
    pub seed: u64,
}

impl Channel {
    fn from_source(source: Source) -> Self {
        Self { source, rate: None, asks_discord: false, attempts: Vec::new() }
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

    /// Exports the channel by HTTP from the Discord at `DISCORD_API_URL`.
    #[must_use]
    pub fn asks_discord(mut self, asks: bool) -> Self {
        self.asks_discord = asks;
        self
    }

    /// Scripts the next attempt that is not scripted yet.
    #[must_use]
    pub fn attempt(mut self, attempt: Attempt) -> Self {
        self.attempts.push(attempt);
        self
    }
}

/// One attempt to export a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AttemptEntry", into = "AttemptEntry")]
pub enum Attempt {
    /// Replays a recording in place of the channel's own messages.
    Replay(PathBuf),
    /// Writes the channel's messages up to an ending.
    Play {
        /// Messages written before the ending; none: zero, or all for `Complete`. With fewer messages selected than this,
        /// the ending comes after the last of them.
        after_messages: Option<u64>,
        then: Ending,
    },
}

impl Attempt {
    /// Ends before the first message (`Complete`: after the last).
    pub fn ends(then: Ending) -> Self {
        Self::Play { after_messages: None, then }
    }

    /// Ends after this many messages.
    pub fn ends_after(messages: u64, then: Ending) -> Self {
        Self::Play { after_messages: Some(messages), then }
    }

    /// Replays a recording.
    pub fn replay(case: impl Into<PathBuf>) -> Self {
        Self::Replay(case.into())
    }
}

/// How an attempt ends. Unless noted otherwise DCE closes its document, so that it is valid but too small, and exits
/// with 1; the name in brackets is the recording whose output is used. A request that fails is that for the next page of
/// messages. Before the first message DCE 2.47 fails at its question for the newest message instead; 2.48 would take that
/// for an empty channel, which is [`Self::QuestionRefused`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Exit 0, as if there were no more messages.
    Complete,
    /// Discord closes the connection [dies].
    Dropped,
    /// Discord answers 500 permanently [bad500].
    Unavailable,
    /// Discord answers 429 permanently, with `retry_after` in the body [limited].
    RateLimited,
    /// Discord's edge answers 400 with an HTML page [cloudflare-400].
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
    /// 403 on its messages; before the first message 2.48 takes it for an empty channel and exits with 0
    /// [forbidden-messages].
    ForbiddenMessages,
    /// Discord's edge answers 400 to the question for the newest message, which comes before all messages: 2.48 takes it for
    /// an empty channel and exits with 0 [probe-400].
    QuestionRefused,
    /// The bot may not see message content [no-intent].
    NoIntent,
    /// A message that DCE itself cannot read [lone-surrogate].
    Unreadable,
    /// The disk is full: the document is cut off inside the next message [disk-full].
    DiskFull,
    /// Stopped inside a message: the next message is cut after an element of one of its arrays, then the postamble
    /// closes the message and nothing else [sigint-inside-message].
    CutInside,
    /// No more output until a signal comes; SIGINT ends it in order [stalls].
    Hang,
    /// No more output, and SIGINT is ignored: only SIGKILL ends it.
    Deaf,
    /// Exit 1 with empty stderr.
    Silent,
    /// Aborts (SIGABRT): no postamble.
    Crash,
    /// Killed by SIGKILL: no postamble [sigkill].
    Sigkill,
    /// Killed by SIGTERM: no postamble [sigterm].
    Sigterm,
    /// Kills the worker, too: SIGABRT to the parent process.
    KillsWorker,
}
