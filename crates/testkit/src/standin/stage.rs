//! The directory the stand-in was called from, and the scenario in it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dce_testkit::scenario::{Attempt, Ending, SCENARIO_FILE, Scenario, Source};

/// A scenario and where it lies.
pub(crate) struct Stage {
    pub(crate) dir: PathBuf,
    pub(crate) scenario: Scenario,
}

/// What one attempt at a channel plays.
pub(crate) enum Plan<'a> {
    /// Discord knows no such channel.
    Unknown,
    /// A recording.
    Replay(PathBuf),
    /// Messages and an ending.
    Play {
        source: &'a Source,
        /// Messages per second.
        rate: Option<u32>,
        /// At most this many messages.
        limit: u64,
        then: Ending,
    },
}

impl Stage {
    /// Looks beside the name the program was called by (a link is not followed), then beside the program itself.
    pub(crate) fn open(called_as: Option<&OsStr>) -> anyhow::Result<Self> {
        let beside_name =
            called_as.map(Path::new).and_then(Path::parent).filter(|dir| !dir.as_os_str().is_empty());
        let exe = std::env::current_exe().context("cannot tell where this program lies")?;
        let dirs = [beside_name, exe.parent()];
        let Some(dir) = dirs.into_iter().flatten().find(|dir| dir.join(SCENARIO_FILE).is_file()) else {
            let searched: Vec<_> = dirs.iter().flatten().map(|dir| dir.display().to_string()).collect();
            bail!("no {SCENARIO_FILE} in {}: this program only plays scenarios", searched.join(" or "));
        };
        let dir = std::path::absolute(dir)?;
        let path = dir.join(SCENARIO_FILE);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let scenario =
            serde_json::from_slice(&text).with_context(|| format!("{} is wrong", path.display()))?;
        Ok(Self { dir, scenario })
    }

    /// A path of the scenario.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// What the `attempt`-th attempt (from 1) at a channel plays.
    pub(crate) fn plan(&self, channel: &str, attempt: u64) -> Plan<'_> {
        let Some(channel) = self.scenario.channels.get(channel) else { return Plan::Unknown };
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let (limit, then) = match (channel.attempts.get(index), &channel.source) {
            (Some(Attempt::Replay(case)), _) | (None, Source::Case(case)) => {
                return Plan::Replay(self.path(case));
            }
            (Some(Attempt::Play { after_messages, then }), _) => (*after_messages, *then),
            (None, _) => (None, Ending::Complete),
        };
        let at_once = if then == Ending::Complete { u64::MAX } else { 0 };
        let rate = channel.rate.map(std::num::NonZero::get);
        Plan::Play { source: &channel.source, rate, limit: limit.unwrap_or(at_once), then }
    }
}
