//! The log of one seed: events and violations.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ViolationKind {
    /// A message of a completed run is not stored.
    Lost,
    /// A stored message differs from its source.
    Altered,
    /// Something was stored or counted twice.
    Duplicated,
    /// A message is stored that its source does not have.
    Invented,
    /// Something does not end.
    Stuck,
    /// The tables contradict each other or the facts.
    Inconsistent,
    /// More at once than allowed.
    OverLimit,
    /// A process, file, session or lease is left over.
    Leftover,
    /// A process ends by itself, panics or gives a wrong answer.
    Misbehaved,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) kind: ViolationKind,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(kind: ViolationKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// A worker was asked to end, or killed.
#[derive(Debug, Clone)]
pub(crate) struct WorkerExit {
    /// Its id in the tables.
    pub(crate) worker: String,
    pub(crate) at: Instant,
}

/// A time in which no worker could resume a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

#[derive(Debug, Default)]
struct Entries {
    lines: Vec<String>,
    violations: Vec<Violation>,
    worker_exits: Vec<WorkerExit>,
    outages: Vec<Outage>,
}

#[derive(Debug)]
pub(crate) struct EventLog {
    start: Instant,
    entries: Mutex<Entries>,
}

impl EventLog {
    pub(crate) fn begin() -> Self {
        Self { start: Instant::now(), entries: Mutex::default() }
    }

    /// The start of the seed.
    pub(crate) const fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn note(&self, what: impl fmt::Display) {
        let line = format!("{:7.2} s  {what}", self.start.elapsed().as_secs_f64());
        self.entries().lines.push(line);
    }

    /// Records a violation; an identical one is recorded once.
    pub(crate) fn violation(&self, kind: ViolationKind, what: impl Into<String>) {
        let violation = Violation::new(kind, what);
        let is_new = !self.entries().violations.contains(&violation);
        if is_new {
            self.note(format_args!("VIOLATION {violation}"));
            self.entries().violations.push(violation);
        }
    }

    pub(crate) fn worker_exit(&self, worker: Option<String>) {
        if let Some(worker) = worker {
            self.entries().worker_exits.push(WorkerExit { worker, at: Instant::now() });
        }
    }

    pub(crate) fn outage(&self, from: Instant, lasted: Duration) {
        self.entries().outages.push(Outage { from, to: from + lasted });
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.entries().lines.clone()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.entries().violations.clone()
    }

    pub(crate) fn worker_exits(&self) -> Vec<WorkerExit> {
        self.entries().worker_exits.clone()
    }

    pub(crate) fn outages(&self) -> Vec<Outage> {
        self.entries().outages.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
