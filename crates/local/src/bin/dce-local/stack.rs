//! Postgres, API and workers, running together.

use std::time::Duration;

use anyhow::Context;
use dce_local::{Launch, PrivatePostgres, ServiceProcess};
use tempfile::TempDir;

/// Time allowed until the API is ready, migrations included.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// Time allowed for a process to end after SIGTERM; a worker's default grace is 25 s.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// How often it is checked whether a process has ended.
const POLL: Duration = Duration::from_millis(50);

/// The running parts. On drop all processes end, then their directory goes, then Postgres ends.
pub(crate) struct Stack {
    directory: Option<TempDir>, // before `processes`, whose watchers would delete it, too, once released
    processes: Vec<ServiceProcess>,
    pub(crate) postgres: PrivatePostgres, // after `processes`, which need it to end in order
}

impl Stack {
    /// Postgres alone. `directory` is deleted when all have ended.
    pub(crate) fn new(postgres: PrivatePostgres, directory: Option<TempDir>) -> Self {
        Self { directory, processes: Vec::new(), postgres }
    }

    /// Starts a process without waiting until it is ready.
    pub(crate) fn start(&mut self, launch: &Launch) -> anyhow::Result<()> {
        self.processes.push(launch.start()?);
        Ok(())
    }

    /// Starts the API, waits until it is ready, and returns its base URL.
    pub(crate) async fn start_api(&mut self, launch: &Launch) -> anyhow::Result<String> {
        self.processes.push(launch.start()?);
        let api = self.processes.last_mut().context("the API was started")?;
        let address = api.ready(READY_LIMIT).await?;
        Ok(format!("http://{address}"))
    }

    /// Returns, with an error, once a process has ended.
    pub(crate) async fn watch(&mut self) -> anyhow::Result<()> {
        loop {
            self.check()?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// An error if a process has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(ServiceProcess::check).context("the service cannot continue")
    }

    /// `error` with the last log lines of all processes.
    pub(crate) fn error_with_logs(&self, error: &str) -> anyhow::Error {
        let logs: String = self.processes.iter().map(ServiceProcess::log_tail).collect();
        anyhow::anyhow!("{error}{logs}")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.processes.iter().for_each(ServiceProcess::terminate); // all at once, then one by one
        self.processes.iter_mut().for_each(|process| process.stop_blocking(STOP_LIMIT));
        self.directory.take();
    }
}
