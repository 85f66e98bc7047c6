//! A place of the fleet: one process after the other, as an operator's platform would keep it filled.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use dce_testkit::process::{Running, binary};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

/// SIGKILL is quick, even on a busy machine.
const KILLED: Duration = Duration::from_secs(20);

/// What a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Api,
    Worker,
}

impl Role {
    const fn program(self) -> &'static str {
        match self {
            Self::Api => "dce-api",
            Self::Worker => "dce-worker",
        }
    }

    /// The line with which it says that it is ready, and the field that the others know it by.
    const fn announcement(self) -> (&'static str, &'static str) {
        match self {
            Self::Api => ("api.listening", "address"),
            Self::Worker => ("worker.started", "worker"),
        }
    }
}

/// Where one process runs.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) role: Role,
    environment: Vec<(&'static str, String)>,
    /// Locked by whoever does something to the process, until the place is filled again.
    process: tokio::sync::Mutex<Process>,
    /// What others may read meanwhile.
    seen: Mutex<Seen>,
}

/// The process, if there is one, and what its predecessors said.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) running: Option<Running>,
    former: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    name: Option<String>,
    is_up: bool,
}

impl Place {
    /// Starts its first process.
    pub(crate) fn fill(role: Role, environment: Vec<(&'static str, String)>) -> Self {
        let process = Process { running: Some(start(role, &environment)), former: Vec::new() };
        Self { role, environment, process: tokio::sync::Mutex::new(process), seen: Mutex::default() }
    }

    /// For doing something to its process.
    pub(crate) async fn lock(&self) -> tokio::sync::MutexGuard<'_, Process> {
        self.process.lock().await
    }

    /// The process, unless somebody is doing something to it.
    pub(crate) fn try_lock(&self) -> Option<tokio::sync::MutexGuard<'_, Process>> {
        self.process.try_lock().ok()
    }

    /// Starts a process in an empty place.
    pub(crate) fn refill(&self, process: &mut Process) {
        process.running = Some(start(self.role, &self.environment));
    }

    /// What the process calls itself, once it has said so; none while somebody does something to it.
    pub(crate) fn name(&self) -> Option<String> {
        let mut seen = self.seen();
        seen.name.clone().filter(|_| seen.is_up).or_else(|| {
            let process = self.try_lock()?;
            let name = process.name(self.role)?;
            *seen = Seen { name: Some(name.clone()), is_up: true };
            Some(name)
        })
    }

    /// Of its process; none of an empty place.
    pub(crate) async fn pid(&self) -> Option<Pid> {
        self.process.lock().await.running.as_ref().map(Running::pid)
    }

    /// From now on, until it is asked for again, the process is not up.
    pub(crate) fn is_down(&self) {
        *self.seen() = Seen::default();
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Process {
    /// What it calls itself, once it has said so.
    pub(crate) fn name(&self, role: Role) -> Option<String> {
        let (event, field) = role.announcement();
        let lines = self.running.as_ref()?.lines();
        let line = lines.iter().find(|line| line.contains(event))?;
        serde_json::from_str::<Value>(line).ok()?[field].as_str().map(str::to_owned)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.signal(signal);
        }
    }

    /// Kills it, if it runs, and empties the place.
    pub(crate) async fn kill(&mut self) {
        if let Some(running) = &mut self.running {
            if running.is_running() {
                running.signal(Signal::SIGKILL);
            }
            running.wait(KILLED).await;
        }
        self.empty();
    }

    /// Keeps what an ended process said.
    pub(crate) fn empty(&mut self) {
        self.former.extend(self.running.take().map(|running| running.lines()));
    }

    /// What all processes of this place said, one list for each.
    pub(crate) fn logs(&self) -> Vec<Vec<String>> {
        self.former.iter().cloned().chain(self.running.as_ref().map(Running::lines)).collect()
    }
}

fn start(role: Role, environment: &[(&'static str, String)]) -> Running {
    let program = binary(role.program());
    Running::start(Path::new(&program), &[], environment.iter().map(|(name, value)| (*name, value)))
}
