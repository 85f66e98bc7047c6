//! Processes under test, and waiting for a condition. Failures panic; the message shows the lines of the process.

use std::env;
use std::ffi::OsStr;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use dce_local::{ChildProcess, Launch, Output, built_program};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

/// How often a condition is checked.
const POLL: Duration = Duration::from_millis(10);

/// A program of this workspace, built for the same profile as the calling test: by `cargo build --workspace`, because cargo
/// builds another package's programs only on request.
pub fn binary(name: &str) -> PathBuf {
    built_program(name).unwrap_or_else(|error| panic!("{error}"))
}

/// A port of 127.0.0.1 that nobody listens on at the moment.
pub fn free_port() -> u16 {
    dce_local::free_port().unwrap_or_else(|error| panic!("no free port: {error}"))
}

/// Calls `condition` again and again until it returns a value, and returns that.
pub async fn eventually<T>(bound: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            sleep(POLL).await;
        }
    };
    match timeout(bound, poll).await {
        Ok(value) => value,
        Err(Elapsed { .. }) => panic!("not within {bound:?}: {what}"),
    }
}

/// Whether a process is a zombie or gone.
pub fn has_ended(pid: impl Display) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']))
}

/// A process under test. Killed on drop, and ended if the test process dies. Its output is kept, line by line.
#[derive(Debug)]
pub struct Running {
    name: String,
    process: ChildProcess,
}

impl Running {
    /// Starts a program (see `binary`) with just these variables and `PATH`.
    pub fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: &Path,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let process = ChildProcess::spawn(program, &Output::Capture, None, |command| {
            command
                .env_clear()
                .env("PATH", env::var_os("PATH").unwrap_or_default())
                .envs(environment)
                .args(arguments);
        });
        let process = process.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name, process }
    }

    /// Starts API or worker and waits until it is ready; also returns its `announced`.
    pub async fn launch(launch: &Launch, bound: Duration) -> (Self, String) {
        let started = async {
            let mut process = launch.start()?;
            let announced = process.ready(bound).await?;
            Ok::<_, dce_local::LaunchError>((process, announced))
        };
        let (process, announced) = started.await.unwrap_or_else(|error| panic!("{error}"));
        let name = process.program().name().to_owned();
        (Self { name, process: process.child }, announced)
    }

    /// The pid of the program itself.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// All lines of stdout and stderr so far.
    pub fn lines(&self) -> Vec<String> {
        self.process.lines()
    }

    /// Waits for the first line that contains `text`.
    pub async fn line(&self, bound: Duration, text: &str) -> String {
        let deadline = Instant::now() + bound;
        loop {
            let has_ended = has_ended(self.pid());
            if let Some(line) = self.process.find_line(text) {
                return line;
            }
            assert!(!has_ended, "{} ended without a line with {text:?}{}", self.name, self.transcript());
            let is_in_time = Instant::now() <= deadline;
            assert!(is_in_time, "{}: no line with {text:?} within {bound:?}{}", self.name, self.transcript());
            sleep(POLL).await;
        }
    }

    /// Sends a signal to the process, not to its children.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits for the end.
    pub async fn wait(&mut self, bound: Duration) -> ExitStatus {
        match self.ended(bound).await {
            Some(status) => status,
            None => panic!("{} does not end within {bound:?}{}", self.name, self.transcript()),
        }
    }

    /// Waits for the end; none if the process still runs after `bound`.
    pub async fn ended(&mut self, bound: Duration) -> Option<ExitStatus> {
        let ended = self.process.wait(bound).await;
        ended.unwrap_or_else(|error| panic!("{} cannot be waited for: {error}", self.name))
    }

    fn transcript(&self) -> String {
        format!("; its lines:\n{}", self.lines().join("\n"))
    }
}
