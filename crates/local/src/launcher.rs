//! Starts `dce-api` and `dce-worker` as processes, waits until they are ready, and stops them.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::sleep;

use crate::child_process::{ChildProcess, Output};
use crate::loopback::loopback_client;

/// How often a process that is not ready yet is checked.
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log that an error shows.
const LOG_TAIL: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Api,
    Worker,
}

impl Program {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "dce-api",
            Self::Worker => "dce-worker",
        }
    }

    /// The log event of a ready process, and the event's field that identifies it.
    const fn ready_event(self) -> (&'static str, &'static str) {
        match self {
            Self::Api => ("api.listening", "address"),
            Self::Worker => ("worker.started", "worker"),
        }
    }
}

/// How to start a program.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: Program,
    /// The program itself, or one that runs it.
    pub executable: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Whether it also gets the environment of this process.
    pub inherits_environment: bool,
    /// The working directory; that of this process if none.
    pub directory: Option<PathBuf>,
    /// Deleted after its end if this process dies.
    pub remove: Option<PathBuf>,
    pub output: Output,
}

impl Launch {
    /// The program as it was built, with `environment` and `PATH` alone and its output captured.
    pub fn new<K: Into<String>, V: Into<String>>(
        program: Program,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, LaunchError> {
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
        Ok(Self {
            program,
            executable: built_program(program.name())?,
            arguments: Vec::new(),
            environment: environment.collect(),
            inherits_environment: false,
            directory: None,
            remove: None,
            output: Output::Capture,
        })
    }

    /// Starts the program without waiting until it is ready.
    pub fn start(&self) -> Result<ServiceProcess, LaunchError> {
        let child = ChildProcess::spawn(&self.executable, &self.output, self.remove.as_deref(), |command| {
            if !self.inherits_environment {
                command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
            }
            command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
            if let Some(directory) = &self.directory {
                command.current_dir(directory);
            }
        });
        let child = child.map_err(|source| LaunchError::Start { name: self.program.name(), source })?;
        Ok(ServiceProcess { program: self.program, child, address: self.fixed_address() })
    }

    /// Where an API with a fixed port listens.
    fn fixed_address(&self) -> Option<String> {
        let port = self.environment.iter().rev().find(|(name, _)| name == "PORT").map(|(_, port)| port)?;
        (port != "0").then(|| format!("127.0.0.1:{port}"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("{name} is not built beside {}: run `cargo build --workspace`", beside.display())]
    NotBuilt { name: String, beside: PathBuf },
    #[error("cannot start {name}")]
    Start { name: &'static str, source: io::Error },
    /// The process ended; no program of the service ends by itself.
    #[error("{name} ended ({status}){log}")]
    Ended { name: &'static str, status: ExitStatus, log: String },
    #[error("{name} is not ready after {} s{log}", limit.as_secs())]
    NotReady { name: &'static str, limit: Duration, log: String },
    #[error("cannot wait for {name}")]
    Wait { name: &'static str, source: io::Error },
}

/// A running `dce-api` or `dce-worker`; killed on drop.
#[derive(Debug)]
pub struct ServiceProcess {
    program: Program,
    pub child: ChildProcess,
    /// None: the process logs it.
    address: Option<String>,
}

impl ServiceProcess {
    pub const fn program(&self) -> Program {
        self.program
    }

    /// What identifies the process: the address of an API, the id of a worker. None until the process has logged it, unless
    /// the API's port is fixed.
    pub fn announced(&self) -> Option<String> {
        if self.address.is_some() {
            return self.address.clone();
        }
        let (event, field) = self.program.ready_event();
        let line: Value = serde_json::from_str(&self.child.find_line(event)?).ok()?;
        line[field].as_str().map(str::to_owned)
    }

    /// The base URL of a ready API.
    pub fn url(&self) -> Option<String> {
        self.announced().filter(|_| self.program == Program::Api).map(|address| format!("http://{address}"))
    }

    /// Waits until the process has logged that it is ready or, with a fixed port, until the API answers `/readyz`. Returns its
    /// `announced`. Fails as soon as the process ends.
    pub async fn ready(&mut self, limit: Duration) -> Result<String, LaunchError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(announced) = self.announced()
                && (self.address.is_none() || is_ready(&announced).await)
            {
                return Ok(announced);
            }
            self.check()?;
            if Instant::now() > deadline {
                return Err(LaunchError::NotReady { name: self.name(), limit, log: self.log_tail() });
            }
            sleep(POLL).await;
        }
    }

    /// An error with the end of its log if the process has ended.
    pub fn check(&mut self) -> Result<(), LaunchError> {
        let name = self.name();
        match self.child.try_wait().map_err(|source| LaunchError::Wait { name, source })? {
            None => Ok(()),
            Some(status) => Err(LaunchError::Ended { name, status, log: self.log_tail() }),
        }
    }

    /// The end of the log, to be appended to a message; empty with inherited output.
    pub fn log_tail(&self) -> String {
        if self.child.inherits_output() {
            return String::new();
        }
        let (name, lines) = (self.name(), self.child.lines());
        match &lines[lines.len().saturating_sub(LOG_TAIL)..] {
            [] => format!("; {name} wrote nothing"),
            tail => format!("; the last lines of {name}:\n{}", tail.join("\n")),
        }
    }

    /// Requests the end without waiting for it.
    pub fn terminate(&self) {
        let _ = self.child.signal(Signal::SIGTERM); // an error means that it has ended
    }

    /// Requests the end and waits for it; none if the process still runs after `limit`.
    pub async fn stop(&mut self, limit: Duration) -> Result<Option<ExitStatus>, LaunchError> {
        self.terminate();
        let name = self.name();
        self.child.wait(limit).await.map_err(|source| LaunchError::Wait { name, source })
    }

    /// `stop`, blocking, for use on drop; kills the process after `limit`.
    pub fn stop_blocking(&mut self, limit: Duration) {
        self.terminate();
        if !matches!(self.child.wait_blocking(limit), Ok(Some(_))) {
            eprintln!("{} does not end: killing it", self.name());
            let _ = self.child.signal(Signal::SIGKILL);
            let _ = self.child.wait_blocking(limit);
        }
    }

    const fn name(&self) -> &'static str {
        self.program.name()
    }
}

async fn is_ready(address: &str) -> bool {
    let Ok(client) = loopback_client().build() else { return false };
    let answer = client.get(format!("http://{address}/readyz")).send().await;
    answer.is_ok_and(|response| response.status().is_success())
}

/// Finds a program of this workspace that was built with this one: beside it or, for a test, in the folder above.
pub fn built_program(name: &str) -> Result<PathBuf, LaunchError> {
    let this = env::current_exe().unwrap_or_default();
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|directory: &Path| directory.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| LaunchError::NotBuilt { name: name.to_owned(), beside: this.clone() })
}
