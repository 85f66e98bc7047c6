//! The states of runs and exports, as a pure state machine (docs/states.md has a diagram).
//!
//! The store locks a run, reads it, and writes the state that this machine returns; a property test compares both.

use std::fmt;
use std::time::Duration;

use super::retry::PROOF_GRACE;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for its time, for a place (admission then sets its task), or for a worker to fetch that task. A claim or a
    /// cancel ends this state.
    Pending,
    /// A worker holds the lease. The end of the attempt or of the lease ends this state.
    Running,
    /// The whole window is archived. Final.
    Completed,
    /// Final, with an error. `/retry` makes the run pending.
    Failed,
    /// Final, because the export was cancelled. `/retry` makes the run pending.
    Cancelled,
}

/// The status of an export, always derived from its runs.
pub type ExportStatus = RunStatus;

impl RunStatus {
    /// The name in tables and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// Whether the state changes only on request.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// DCE ended in order, and all its output is committed.
    Completed,
    /// `retryable`: see [`super::failure::FailureKind::is_retryable`].
    Failed { retryable: bool },
    /// The worker stopped DCE in order: a soft stop, or a cancel.
    HandedBack,
    /// Everything is read, but Discord did not answer whether there is more. `waited`: time since DCE was through.
    Unproven { waited: Duration },
    /// The worker sent no heartbeat for the time of a lease.
    LeaseExpired,
}

impl AttemptEnd {
    /// The name in the history.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Unproven { .. } if self.is_failure() => "failed",
            Self::Failed { .. } => "failed",
            Self::HandedBack | Self::Unproven { .. } => "handed_back",
            Self::LeaseExpired => "lease_expired",
        }
    }

    /// Whether it charges the budget of a run that made no progress.
    fn is_failure(self) -> bool {
        match self {
            Self::Failed { .. } | Self::LeaseExpired => true,
            Self::Completed | Self::HandedBack => false,
            // Discord's outages pass: they alone do not end a run that needs nothing but an answer.
            Self::Unproven { waited } => waited >= PROOF_GRACE,
        }
    }
}

/// The facts of a run that decide about its next state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub status: RunStatus,
    /// Claims so far: the fence. Only grows.
    pub attempt: u32,
    /// Failures in a row without progress: the budget.
    pub failures: u32,
    /// Number of failures at which the run fails.
    pub max_attempts: u32,
    /// Whether it has a task.
    pub admitted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// A place is free.
    Admit,
    /// A worker fetched its task.
    Claim,
    /// The attempt ends; `progressed`: its cursor is not the one it began with.
    End { end: AttemptEnd, progressed: bool },
    /// The client cancels the export.
    Cancel,
    /// The client retries the export.
    Retry,
}

impl Run {
    /// The run after the event; `None`: the event does not apply. `cancel_requested`: a cancel of the export is
    /// outstanding.
    #[must_use]
    pub fn after(self, event: RunEvent, cancel_requested: bool) -> Option<Self> {
        use RunStatus::{Cancelled, Failed, Pending, Running};
        match event {
            RunEvent::Admit => {
                (self.status == Pending && !self.admitted).then_some(Self { admitted: true, ..self })
            }
            RunEvent::Claim if self.status != Pending || !self.admitted => None,
            RunEvent::Claim if cancel_requested => Some(Self { status: Cancelled, admitted: false, ..self }),
            RunEvent::Claim => {
                Some(Self { status: Running, admitted: false, attempt: self.attempt + 1, ..self })
            }
            RunEvent::End { end, progressed } => {
                (self.status == Running).then(|| self.ended(end, progressed, cancel_requested))
            }
            RunEvent::Cancel => {
                (self.status == Pending).then_some(Self { status: Cancelled, admitted: false, ..self })
            }
            RunEvent::Retry => matches!(self.status, Failed | Cancelled).then_some(Self {
                status: Pending,
                failures: 0,
                ..self
            }),
        }
    }

    fn ended(self, end: AttemptEnd, progressed: bool, cancel_requested: bool) -> Self {
        // Progress resets the budget: a long channel may lose its connection a hundred times.
        let failures =
            if progressed { 0 } else { (self.failures + u32::from(end.is_failure())).min(self.max_attempts) };
        let exhausted = failures >= self.max_attempts;
        let status = match end {
            AttemptEnd::Completed => RunStatus::Completed,
            // A cancel takes precedence over any other end: a DCE that was stopped for it looks like a failure.
            _ if cancel_requested => RunStatus::Cancelled,
            AttemptEnd::Failed { retryable: false } => RunStatus::Failed,
            AttemptEnd::Failed { retryable: true }
            | AttemptEnd::LeaseExpired
            | AttemptEnd::HandedBack
            | AttemptEnd::Unproven { .. } => {
                if end.is_failure() && exhausted {
                    RunStatus::Failed
                } else {
                    RunStatus::Pending
                }
            }
        };
        Self { status, failures, ..self }
    }
}

/// Counts of an export's runs by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Pending and running.
    pub open: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub any_claimed: bool,
}

impl RunCounts {
    pub fn new(runs: impl IntoIterator<Item = Run>) -> Self {
        runs.into_iter().fold(Self::default(), |counts, run| Self {
            open: counts.open + u64::from(!run.status.is_final()),
            failed: counts.failed + u64::from(run.status == RunStatus::Failed),
            cancelled: counts.cancelled + u64::from(run.status == RunStatus::Cancelled),
            any_claimed: counts.any_claimed || run.attempt > 0,
        })
    }

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

    fn end(run: Run, end: AttemptEnd, progressed: bool, cancel: bool) -> Run {
        run.after(RunEvent::End { end, progressed }, cancel).unwrap()
    }

    #[test]
    fn the_budget_is_spent_by_failures_without_progress_only() {
        let retryable = AttemptEnd::Failed { retryable: true };
        let once = end(RUNNING, retryable, false, false);
        assert_eq!((once.status, once.failures), (RunStatus::Pending, 1));
        let again = Run { status: RunStatus::Running, ..once };
        assert_eq!(end(again, retryable, false, false).status, RunStatus::Failed);
        assert_eq!(end(again, retryable, true, false).failures, 0);
        assert_eq!(end(again, AttemptEnd::HandedBack, false, false).failures, 1);
        assert_eq!(end(again, AttemptEnd::LeaseExpired, false, false).status, RunStatus::Failed);
    }

    #[test]
    fn a_missing_proof_costs_nothing_until_the_grace_is_over() {
        let early = AttemptEnd::Unproven { waited: Duration::from_mins(14) };
        let late = AttemptEnd::Unproven { waited: PROOF_GRACE };
        assert_eq!((early.outcome(), late.outcome()), ("handed_back", "failed"));
        let waiting = end(RUNNING, early, false, false);
        assert_eq!((waiting.status, waiting.failures), (RunStatus::Pending, 0));
        let failed_once = end(RUNNING, late, false, false);
        assert_eq!((failed_once.status, failed_once.failures), (RunStatus::Pending, 1));
        let again = Run { status: RunStatus::Running, ..failed_once };
        assert_eq!(end(again, late, false, false).status, RunStatus::Failed);
        assert_eq!(end(again, early, false, false).failures, 1);
        assert_eq!(end(again, late, true, false).failures, 0);
    }

    #[test]
    fn a_cancel_beats_every_end_but_completion() {
        for (how, expected) in [
            (AttemptEnd::Completed, RunStatus::Completed),
            (AttemptEnd::Failed { retryable: false }, RunStatus::Cancelled),
            (AttemptEnd::HandedBack, RunStatus::Cancelled),
            (AttemptEnd::LeaseExpired, RunStatus::Cancelled),
            (AttemptEnd::Unproven { waited: Duration::ZERO }, RunStatus::Cancelled),
            (AttemptEnd::Unproven { waited: PROOF_GRACE }, RunStatus::Cancelled),
        ] {
            assert_eq!(end(RUNNING, how, false, true).status, expected);
        }
    }

    #[test]
    fn the_export_is_derived_from_its_runs() {
        use RunStatus::{Cancelled, Completed, Failed, Pending, Running};
        let run = |status, attempt| Run { status, attempt, ..RUNNING };
        let status = |runs: &[Run]| RunCounts::new(runs.iter().copied()).status();
        assert_eq!(status(&[run(Pending, 0), run(Cancelled, 0)]), Pending);
        assert_eq!(status(&[run(Pending, 0), run(Completed, 1)]), Running);
        assert_eq!(status(&[run(Pending, 1)]), Running);
        assert_eq!(status(&[run(Failed, 1), run(Cancelled, 0), run(Completed, 1)]), Failed);
        assert_eq!(status(&[run(Cancelled, 0), run(Completed, 1)]), Cancelled);
        assert_eq!(status(&[run(Completed, 1)]), Completed);
    }
}
