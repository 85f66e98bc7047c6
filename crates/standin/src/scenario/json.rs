//! How channels and attempts are written in `scenario.json`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Attempt, Channel, Ending, Generate, Source};

/// [`Channel`] in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generate: Option<Generate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    asks_discord: bool,
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
        Ok(Self { source, rate: entry.rate, asks_discord: entry.asks_discord, attempts: entry.attempts })
    }
}

impl From<Channel> for ChannelEntry {
    fn from(channel: Channel) -> Self {
        let mut entry = Self {
            file: None,
            case: None,
            generate: None,
            rate: channel.rate,
            asks_discord: channel.asks_discord,
            attempts: channel.attempts,
        };
        match channel.source {
            Source::File(path) => entry.file = Some(path),
            Source::Case(path) => entry.case = Some(path),
            Source::Generate(generate) => entry.generate = Some(generate),
        }
        entry
    }
}

/// [`Attempt`] in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptEntry {
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
