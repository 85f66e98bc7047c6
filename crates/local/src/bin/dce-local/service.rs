//! One process of the service: started beside us, ended with us.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, bail};
use dce_local::tethered;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end after SIGTERM; a worker's default grace is 25 s.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Lines of a log that an error shows.
const LOG_TAIL: usize = 15;

/// The program `name` that was built together with this one.
pub(crate) fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let program = env::current_exe().context("cannot find this program's own path")?.with_file_name(name);
    if !program.is_file() {
        bail!("{} is missing: build it with `cargo build --workspace`", program.display());
    }
    Ok(program)
}

/// What a process is given.
pub(crate) struct Surroundings<'a> {
    /// Its whole environment, or what is added to ours.
    pub(crate) environment: Environment,
    /// Its working directory; ours if `None`.
    pub(crate) directory: Option<&'a Path>,
    /// Deleted after its end if we are killed.
    pub(crate) remove: Option<&'a Path>,
    /// Where its output goes; to our own if `None`.
    pub(crate) log: Option<PathBuf>,
}

/// Variables of a process.
pub(crate) struct Environment {
    /// Whether it sees ours, too.
    pub(crate) inherit: bool,
    /// Its own.
    pub(crate) variables: Vec<(String, String)>,
}

/// A running process; SIGTERM and a bounded wait on drop.
pub(crate) struct Service {
    name: &'static str,
    child: Child, // its standard input is the tether: see `tethered`
    log: Option<PathBuf>,
}

impl Service {
    pub(crate) fn start(name: &'static str, surroundings: &Surroundings<'_>) -> anyhow::Result<Self> {
        let mut command = tethered(sibling(name)?, Signal::SIGTERM, surroundings.remove);
        if !surroundings.environment.inherit {
            command.env_clear();
        }
        command.envs(surroundings.environment.variables.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = surroundings.directory {
            command.current_dir(directory);
        }
        if let Some(log) = &surroundings.log {
            let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
            command.stderr(file.try_clone()?).stdout(file);
        }
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log: surroundings.log.clone() })
    }

    /// An error with its last words if it has ended, which no service does by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}){}", self.name, self.last_words()),
        }
    }

    /// The end of its log, ready to be appended to a message.
    pub(crate) fn last_words(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        if tail.is_empty() {
            format!("; {} wrote nothing", self.name)
        } else {
            format!("; the last lines of {}:\n{}", self.name, tail.join("\n"))
        }
    }

    /// Asks it to end, without waiting.
    pub(crate) fn terminate(&self) {
        // The tether keeps the number in use, so it is no other process's. An error means that it has ended.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Ends it. Does nothing if it has ended.
    pub(crate) fn stop(&mut self) {
        self.terminate();
        if self.wait().is_none() {
            eprintln!("{} does not end: killing it", self.name);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
        None
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}
