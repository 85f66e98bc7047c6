//! The fake Discord that serves the sample's channel to the worker.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use dce_local::{ChildProcess, Output, built_program};

/// Time allowed for the start.
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Ends when it is dropped.
pub(super) struct SampleDiscord {
    url: String,
    _process: ChildProcess,
}

impl SampleDiscord {
    /// Starts it for the scenario in this directory and waits until it listens.
    pub(super) async fn start(scenario: &Path) -> anyhow::Result<Self> {
        let program = built_program("dce-fake-discord")?;
        let mut process = ChildProcess::spawn(program, &Output::Capture, None, |command| {
            command.env_clear().arg("--scenario").arg(scenario);
        })?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(url) = process.find_line("http://") {
                return Ok(Self { url, _process: process });
            }
            let has_ended = process.try_wait()?.is_some();
            if has_ended || Instant::now() > deadline {
                bail!("the fake Discord of the sample does not start: {}", process.lines().join("\n"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The base URL of its API.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}
