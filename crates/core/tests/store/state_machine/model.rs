//! The state machine's view of exports and runs.

use dce_core::export::phase::Phase;
use dce_core::export::state::{AttemptEnd, Run, RunEvent, RunStatus};
use dce_core::store::transitions::Fence;
use uuid::Uuid;

pub(super) struct RunModel {
    pub(super) job_id: Uuid,
    pub(super) run: Run,
    pub(super) progressed: bool,
    /// Also stands for the cursor.
    pub(super) messages: i64,
    pub(super) fence: Option<Fence>,
    pub(super) phase: Option<Phase>,
    pub(super) through: bool,
    pub(super) reread: Option<u64>,
    pub(super) verified: bool,
    began: Began,
    /// How the latest attempt began, if it was short.
    short: Option<Began>,
}

/// Where an attempt began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Began {
    messages: i64,
    reread: Option<u64>,
}

impl RunModel {
    pub(super) fn new(job_id: Uuid, run: Run) -> Self {
        Self {
            job_id,
            run,
            progressed: false,
            messages: 0,
            fence: None,
            phase: None,
            through: false,
            reread: None,
            verified: false,
            began: Began::default(),
            short: None,
        }
    }

    pub(super) fn claimed(&mut self, fence: Fence) {
        self.run = self.run.after(RunEvent::Claim, false).expect("may be claimed");
        self.progressed = false;
        self.fence = Some(fence);
        self.phase = Some(Phase::Reading);
        self.began = Began { messages: self.messages, reread: self.reread };
    }

    /// The last messages of a batch are committed.
    pub(super) fn reached(&mut self, progress: bool) {
        self.progressed |= progress;
        self.messages += i64::from(progress);
    }

    /// Whether a short attempt may be followed by another one.
    pub(super) fn may_be_short_again(&self) -> bool {
        self.progressed || self.run.failures == 0 || self.short != Some(self.began)
    }

    pub(super) fn ended(&mut self, end: AttemptEnd, is_short: bool, cancel_requested: bool) -> RunStatus {
        let event = RunEvent::End { end, progressed: self.progressed };
        self.run = self.run.after(event, cancel_requested).expect("may end");
        (self.fence, self.phase) = (None, None);
        if end.outcome() != "handed_back" {
            self.short = is_short.then_some(self.began);
        }
        self.run.status
    }
}

#[derive(Default)]
pub(super) struct ExportModel {
    pub(super) cancel_requested: bool,
    /// Messages of its runs at the last settlement.
    pub(super) messages: i64,
}
