//! What happened in a seed, and what should not have.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breach {
    /// A message of a completed run is not stored.
    Lost,
    /// A stored message differs from its source.
    Altered,
    /// Something was stored or counted twice.
    Twice,
    /// A message is stored that its source does not have.
    Invented,
    /// Something does not come to its end.
    Stuck,
    /// The tables say what is not so.
    Untrue,
    /// More at once than allowed.
    Overshot,
    /// A process, file, session or lease is left.
    LeftOver,
    /// A process does what it must not: it ends by itself, panics, answers wrongly.
    Misbehaved,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) breach: Breach,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(breach: Breach, what: impl Into<String>) -> Self {
        Self { breach, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.breach, self.what)
    }
}

/// A worker with running runs was told to end, or killed.
#[derive(Debug, Clone)]
pub(crate) struct Departure {
    /// As the tables name it.
    pub(crate) worker: String,
    pub(crate) at: Instant,
}

/// A time in which no worker could resume anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disturbance {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

#[derive(Debug, Default)]
struct Entries {
    lines: Vec<String>,
    violations: Vec<Violation>,
    departures: Vec<Departure>,
    disturbances: Vec<Disturbance>,
}

/// Written by all that goes on in a seed.
#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
    entries: Mutex<Entries>,
}

impl Journal {
    pub(crate) fn begin() -> Self {
        Self { start: Instant::now(), entries: Mutex::default() }
    }

    /// Time zero.
    pub(crate) const fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn note(&self, what: impl fmt::Display) {
        let line = format!("{:7.2} s  {what}", self.start.elapsed().as_secs_f64());
        self.entries().lines.push(line);
    }

    /// Notes something that is wrong. The same again is noted once.
    pub(crate) fn violated(&self, breach: Breach, what: impl Into<String>) {
        let violation = Violation::new(breach, what);
        let is_new = !self.entries().violations.contains(&violation);
        if is_new {
            self.note(format_args!("VIOLATION {violation}"));
            self.entries().violations.push(violation);
        }
    }

    pub(crate) fn departed(&self, worker: Option<String>) {
        if let Some(worker) = worker {
            self.entries().departures.push(Departure { worker, at: Instant::now() });
        }
    }

    pub(crate) fn disturbed(&self, from: Instant, lasted: Duration) {
        self.entries().disturbances.push(Disturbance { from, to: from + lasted });
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.entries().lines.clone()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.entries().violations.clone()
    }

    pub(crate) fn departures(&self) -> Vec<Departure> {
        self.entries().departures.clone()
    }

    pub(crate) fn disturbances(&self) -> Vec<Disturbance> {
        self.entries().disturbances.clone()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
