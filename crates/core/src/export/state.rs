//! The states of runs and exports, as a pure machine. docs/states.md has the picture.
//!
//! The store locks, reads, asks here, and writes what it is told; a property test holds both together.

use std::fmt;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits: for its time, for a place (then admission sets its task), or for a worker to fetch that task.
    /// Left by a claim or a cancel.
    Pending,
    /// A worker holds its lease. Left when the attempt ends or the lease expires.
    Running,
    /// Everything that was asked for is archived. Final.
    Completed,
    /// Given up, with an error. `/retry` makes it pending.
    Failed,
    /// Ended because its export was cancelled. `/retry` makes it pending.
    Cancelled,
}

/// Where an export stands: derived from its runs, never decided by itself.
pub type ExportStatus = RunStatus;

impl RunStatus {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether nothing happens any more unless someone asks.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// DCE ended in order and everything it wrote is committed.
    Completed,
    /// It failed; `retryable` says whether trying again can help.
    Failed {
        /// See [`super::failure::FailureKind::is_retryable`].
        retryable: bool,
    },
    /// The worker stopped DCE in order: a soft stop, or a cancel.
    HandedBack,
    /// The worker was not heard of for a lease.
    LeaseExpired,
}

impl End {
    /// As stored in the history.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::HandedBack => "handed_back",
            Self::LeaseExpired => "lease_expired",
        }
    }
}

/// What of a run the decisions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its status.
    pub status: RunStatus,
    /// Claims so far: the fence. Only grows.
    pub attempt: u32,
    /// Failures in a row without progress: the budget.
    pub failures: u32,
    /// At so many failures the run is given up.
    pub max_attempts: u32,
    /// Whether a task calls it.
    pub admitted: bool,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A place is free.
    Admit,
    /// A worker fetched its task.
    Claim,
    /// The attempt ends; `progressed`: its cursor is not the one it began with.
    End {
        /// How.
        end: End,
        /// Whether the cursor moved.
        progressed: bool,
    },
    /// The client cancels the export.
    Cancel,
    /// The client retries the export.
    Retry,
}

impl Run {
    /// The run after the event; `None` when the event finds nothing to do.
    /// `cancel_requested`: a cancel of the export is outstanding at that moment.
    #[must_use]
    pub fn after(self, event: Event, cancel_requested: bool) -> Option<Self> {
        use RunStatus::{Cancelled, Failed, Pending, Running};
        match event {
            Event::Admit => {
                (self.status == Pending && !self.admitted).then_some(Self { admitted: true, ..self })
            }
            Event::Claim if self.status != Pending || !self.admitted => None,
            Event::Claim if cancel_requested => Some(Self { status: Cancelled, admitted: false, ..self }),
            Event::Claim => {
                Some(Self { status: Running, admitted: false, attempt: self.attempt + 1, ..self })
            }
            Event::End { end, progressed } => {
                (self.status == Running).then(|| self.ended(end, progressed, cancel_requested))
            }
            Event::Cancel => {
                (self.status == Pending).then_some(Self { status: Cancelled, admitted: false, ..self })
            }
            Event::Retry => matches!(self.status, Failed | Cancelled).then_some(Self {
                status: Pending,
                failures: 0,
                ..self
            }),
        }
    }

    fn ended(self, end: End, progressed: bool, cancel_requested: bool) -> Self {
        let costs = matches!(end, End::Failed { .. } | End::LeaseExpired);
        // Progress clears the budget: a long channel may lose its connection a hundred times.
        let failures = if progressed { 0 } else { (self.failures + u32::from(costs)).min(self.max_attempts) };
        let exhausted = failures >= self.max_attempts;
        let status = match end {
            End::Completed => RunStatus::Completed,
            // Asked for, a cancel beats every other end: a DCE stopped for it looks like a failure.
            _ if cancel_requested => RunStatus::Cancelled,
            End::Failed { retryable: false } => RunStatus::Failed,
            End::Failed { retryable: true } | End::LeaseExpired if exhausted => RunStatus::Failed,
            End::Failed { retryable: true } | End::LeaseExpired | End::HandedBack => RunStatus::Pending,
        };
        Self { status, failures, ..self }
    }
}

/// How the runs of an export stand, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pending and running.
    pub open: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Whether any was ever claimed.
    pub any_claimed: bool,
}

impl Tally {
    /// Counts runs.
    pub fn of(runs: impl IntoIterator<Item = Run>) -> Self {
        runs.into_iter().fold(Self::default(), |tally, run| Self {
            open: tally.open + u64::from(!run.status.is_final()),
            failed: tally.failed + u64::from(run.status == RunStatus::Failed),
            cancelled: tally.cancelled + u64::from(run.status == RunStatus::Cancelled),
            any_claimed: tally.any_claimed || run.attempt > 0,
        })
    }

    /// The export's status.
    pub const fn status(self) -> ExportStatus {
        match self {
            Self { open: 1.., any_claimed: false, .. } => RunStatus::Pending,
            Self { open: 1.., .. } => RunStatus::Running,
            Self { failed: 1.., .. } => RunStatus::Failed,
            Self { cancelled: 1.., .. } => RunStatus::Cancelled,
            _ => RunStatus::Completed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Run =
        Run { status: RunStatus::Running, attempt: 1, failures: 0, max_attempts: 2, admitted: false };

    fn end(run: Run, end: End, progressed: bool, cancel: bool) -> Run {
        run.after(Event::End { end, progressed }, cancel).unwrap()
    }

    #[test]
    fn the_budget_is_spent_by_failures_without_progress_only() {
        let retryable = End::Failed { retryable: true };
        let once = end(RUNNING, retryable, false, false);
        assert_eq!((once.status, once.failures), (RunStatus::Pending, 1));
        let again = Run { status: RunStatus::Running, ..once };
        assert_eq!(end(again, retryable, false, false).status, RunStatus::Failed);
        assert_eq!(end(again, retryable, true, false).failures, 0);
        assert_eq!(end(again, End::HandedBack, false, false).failures, 1);
        assert_eq!(end(again, End::LeaseExpired, false, false).status, RunStatus::Failed);
    }

    #[test]
    fn a_cancel_beats_every_end_but_completion() {
        for (how, expected) in [
            (End::Completed, RunStatus::Completed),
            (End::Failed { retryable: false }, RunStatus::Cancelled),
            (End::HandedBack, RunStatus::Cancelled),
            (End::LeaseExpired, RunStatus::Cancelled),
        ] {
            assert_eq!(end(RUNNING, how, false, true).status, expected);
        }
    }

    #[test]
    fn the_export_is_derived_from_its_runs() {
        use RunStatus::{Cancelled, Completed, Failed, Pending, Running};
        let run = |status, attempt| Run { status, attempt, ..RUNNING };
        let status = |runs: &[Run]| Tally::of(runs.iter().copied()).status();
        assert_eq!(status(&[run(Pending, 0), run(Cancelled, 0)]), Pending);
        assert_eq!(status(&[run(Pending, 0), run(Completed, 1)]), Running);
        assert_eq!(status(&[run(Pending, 1)]), Running);
        assert_eq!(status(&[run(Failed, 1), run(Cancelled, 0), run(Completed, 1)]), Failed);
        assert_eq!(status(&[run(Cancelled, 0), run(Completed, 1)]), Cancelled);
        assert_eq!(status(&[run(Completed, 1)]), Completed);
    }
}
