//! The events of a story.

use proptest::prelude::*;

/// Numbers select among the existing exports and runs.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(Vec<u64>),
    Tick,
    Claim(u8),
    Checkpoint(u8, bool),
    Verify(u8),
    BeginReading(u8),
    /// With a last checkpoint that progresses, if any; with a proof or without.
    Complete(u8, Option<bool>, bool),
    Fail(u8, FailedHow),
    HandBack(u8, bool),
    /// The grace is over or not, if DCE was through before.
    WaitForProof(u8, bool),
    Expire(u8),
    Cancel(u8),
    Retry(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedHow {
    Retryable,
    Finally,
    /// DCE was through, but short; with this id to be read again.
    Short(Option<u64>),
}

impl Step {
    /// Whether admission is its last step.
    pub(super) fn admits(&self) -> bool {
        !matches!(
            self,
            Self::Claim(_) | Self::Checkpoint(..) | Self::Verify(_) | Self::BeginReading(_) | Self::Expire(_)
        )
    }
}

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    let channels = prop::collection::btree_set(1..6_u64, 1..=3);
    let failed = prop_oneof![
        4 => Just(FailedHow::Retryable),
        1 => Just(FailedHow::Finally),
        6 => prop::option::weighted(0.2, Just(7)).prop_map(FailedHow::Short),
    ];
    prop_oneof![
        2 => channels.prop_map(|channels| Step::Create(channels.into_iter().collect())),
        3 => Just(Step::Tick),
        8 => any::<u8>().prop_map(Step::Claim),
        3 => any::<(u8, bool)>().prop_map(|(run, progress)| Step::Checkpoint(run, progress)),
        1 => any::<u8>().prop_map(Step::Verify),
        1 => any::<u8>().prop_map(Step::BeginReading),
        2 => any::<(u8, Option<bool>, bool)>().prop_map(|(run, last, proven)| Step::Complete(run, last, proven)),
        6 => (any::<u8>(), failed).prop_map(|(run, how)| Step::Fail(run, how)),
        2 => any::<(u8, bool)>().prop_map(|(run, through)| Step::HandBack(run, through)),
        3 => any::<(u8, bool)>().prop_map(|(run, overdue)| Step::WaitForProof(run, overdue)),
        2 => any::<u8>().prop_map(Step::Expire),
        1 => any::<u8>().prop_map(Step::Cancel),
        2 => any::<u8>().prop_map(Step::Retry),
    ]
}
