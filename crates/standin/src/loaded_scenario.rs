//! Loads the scenario of this call and looks up the script of each attempt at a channel.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dce_standin::scenario::{Attempt, Ending, SCENARIO_FILE, Scenario, Source};

pub(crate) struct LoadedScenario {
    pub(crate) dir: PathBuf,
    pub(crate) scenario: Scenario,
}

/// The script of one attempt at a channel.
pub(crate) enum AttemptScript<'a> {
    UnknownChannel,
    /// The folder of a recording.
    Recording(PathBuf),
    Messages {
        source: &'a Source,
        /// Messages per second.
        rate: Option<u32>,
        /// Maximum number of messages before the ending.
        limit: u64,
        ending: Ending,
        asks_discord: bool,
    },
}

impl LoadedScenario {
    /// Looks beside the name the program was called by (without following a link), then beside the program itself.
    pub(crate) fn load(called_as: Option<&OsStr>) -> anyhow::Result<Self> {
        let beside_name =
            called_as.map(Path::new).and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty());
        let exe = std::env::current_exe().context("cannot find the path of this program")?;
        let dirs = [beside_name, exe.parent()];
        let Some(dir) = dirs.into_iter().flatten().find(|dir| dir.join(SCENARIO_FILE).is_file()) else {
            let searched: Vec<_> = dirs.iter().flatten().map(|dir| dir.display().to_string()).collect();
            bail!("no {SCENARIO_FILE} in {}: this program only plays scenarios", searched.join(" or "));
        };
        let dir = std::path::absolute(dir)?;
        let path = dir.join(SCENARIO_FILE);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let scenario =
            serde_json::from_slice(&text).with_context(|| format!("{} is not valid", path.display()))?;
        Ok(Self { dir, scenario })
    }

    /// Resolves a path of the scenario.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// Whether this channel is exported by HTTP.
    pub(crate) fn asks_discord(&self, channel: &str) -> bool {
        self.scenario.channels.get(channel).is_some_and(|channel| channel.asks_discord)
    }

    /// The script of attempt number `attempt` (from 1) at a channel.
    pub(crate) fn script(&self, channel: &str, attempt: u64) -> AttemptScript<'_> {
        let Some(channel) = self.scenario.channels.get(channel) else {
            return AttemptScript::UnknownChannel;
        };
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let (limit, ending) = match (channel.attempts.get(index), &channel.source) {
            (Some(Attempt::Replay(folder)), _) => return AttemptScript::Recording(self.path(folder)),
            (None, Source::Case(folder)) if !channel.asks_discord => {
                return AttemptScript::Recording(self.path(folder));
            }
            (Some(Attempt::Play { after_messages, then }), _) => (*after_messages, *then),
            (None, _) => (None, Ending::Complete),
        };
        let default_limit = if ending == Ending::Complete { u64::MAX } else { 0 };
        let rate = channel.rate.map(std::num::NonZero::get);
        let limit = limit.unwrap_or(default_limit);
        let asks_discord = channel.asks_discord;
        AttemptScript::Messages { source: &channel.source, rate, limit, ending, asks_discord }
    }
}
