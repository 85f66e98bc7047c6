//! How an attempt ends, and what follows for its run.

use std::time::Duration;

use super::completion::Completion;
use super::lock::LockedRun;
use crate::export::failure::Failure;
use crate::export::retry::{proof_pause, retry_delay};
use crate::export::state::AttemptEnd;

/// Delay before a run that was handed back with a reason may start again.
const HANDED_BACK_DELAY: Duration = Duration::from_secs(5);

/// The end of an attempt as its owner, or the rescue, knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    Completed(&'a Completion),
    /// `jitter` (0 to 1) spreads the next attempt.
    Failed {
        failure: &'a Failure,
        jitter: f64,
    },
    HandedBack {
        reason: Option<&'a Failure>,
    },
    /// Everything is read, but Discord did not answer whether there is more.
    Unproven {
        reason: &'a Failure,
    },
    LeaseExpired(&'a Failure),
}

/// The facts of the history that decide about an end, besides those of the run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Precedents {
    /// The last attempt was as short as this one.
    pub(super) was_as_short: bool,
    /// Attempts that have ended since DCE was through.
    pub(super) waits: u32,
}

impl<'a> Ending<'a> {
    pub(super) fn failure(self) -> Option<&'a Failure> {
        match self {
            Self::Completed(_) => None,
            Self::HandedBack { reason } => reason,
            Self::Failed { failure, .. }
            | Self::Unproven { reason: failure }
            | Self::LeaseExpired(failure) => Some(failure),
        }
    }

    /// The end for the state machine.
    pub(super) fn attempt_end(self, run: &LockedRun, precedents: Precedents) -> AttemptEnd {
        match self {
            Self::Completed(_) => AttemptEnd::Completed,
            Self::Failed { failure, .. } => {
                AttemptEnd::Failed { retryable: failure.kind.is_retryable() && !precedents.was_as_short }
            }
            Self::HandedBack { .. } => AttemptEnd::HandedBack,
            Self::Unproven { .. } => AttemptEnd::Unproven { waited: run.waited() },
            Self::LeaseExpired(_) => AttemptEnd::LeaseExpired,
        }
    }

    /// Whether an attempt with this outcome in the history may have ended this way.
    pub(super) fn may_be(self, outcome: &str) -> bool {
        match self {
            Self::Completed(_) => outcome == "completed",
            Self::Failed { .. } => outcome == "failed",
            Self::HandedBack { .. } => outcome == "handed_back",
            // Which of them depended on the time at which it ended.
            Self::Unproven { .. } => matches!(outcome, "handed_back" | "failed"),
            Self::LeaseExpired(_) => outcome == "lease_expired",
        }
    }

    /// The delay before the next attempt. `failures`: in a row, this one included.
    pub(super) fn delay(self, failures: u32, precedents: Precedents) -> Duration {
        match self {
            Self::Failed { failure, jitter } => retry_delay(failures, failure.retry_after, jitter),
            // The reason may stop the next worker too: not again at once.
            Self::HandedBack { reason: Some(_) } => HANDED_BACK_DELAY,
            Self::Unproven { reason } => proof_pause(precedents.waits, reason.retry_after),
            Self::Completed(_) | Self::HandedBack { reason: None } | Self::LeaseExpired(_) => Duration::ZERO,
        }
    }

    /// The failure for clients.
    pub(super) fn error(self, is_import: bool) -> Option<serde_json::Value> {
        let to_json = match self {
            _ if is_import => Failure::to_import_json,
            Self::HandedBack { .. } => Failure::to_waiting_json,
            _ => Failure::to_json,
        };
        self.failure().map(to_json)
    }
}
