//! The exports of a seed, and whether their clients cancel or retry them.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::random::Random;

/// 2024-07-03T09:46:40Z, when the generated channels begin, in milliseconds of Unix time.
const CHANNELS_BEGIN_MS: i64 = 1_720_000_000_000;
/// Milliseconds from one of their messages to the next.
const INTERVAL_MS: i64 = 2_000;

/// What a client does after its export was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FollowUp {
    Nothing,
    Cancel { after: Duration },
    CancelAndRetry { after: Duration, then: Duration },
}

impl FollowUp {
    #[cfg(test)]
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Cancel { .. } => "cancel",
            Self::CancelAndRetry { .. } => "cancel and retry",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExportPlan {
    /// Time of the `POST`.
    pub(crate) at: Duration,
    pub(crate) channels: Vec<String>,
    pub(crate) start_at: Option<DateTime<Utc>>,
    pub(crate) end_at: Option<DateTime<Utc>>,
    pub(crate) follow_up: FollowUp,
}

/// 4 to 8 exports, the first at once.
pub(super) fn draw(random: &mut Random, channels: &[String], lasts: Duration) -> Vec<ExportPlan> {
    let latest = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX) * 3 / 4;
    let count = random.between(4, 8);
    let mut exports: Vec<ExportPlan> = (0..count)
        .map(|number| {
            let at = if number == 0 { Duration::ZERO } else { random.duration(0, latest) };
            let wanted: BTreeSet<String> =
                (0..random.between(1, 6)).map(|_| random.pick(channels).clone()).collect();
            let (start_at, end_at) = window(random);
            ExportPlan {
                at,
                channels: wanted.into_iter().collect(),
                start_at,
                end_at,
                follow_up: follow_up(random),
            }
        })
        .collect();
    exports.sort_by_key(|export| export.at);
    exports
}

fn window(random: &mut Random) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let mut moment = |from: u64, to: u64| {
        let number = i64::try_from(random.between(from, to)).unwrap_or(i64::MAX);
        let ms = CHANNELS_BEGIN_MS + number * INTERVAL_MS;
        DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::milliseconds(ms))
    };
    let (start_at, end_at) = (moment(0, 1_500), moment(1_600, 8_000));
    match random.between(0, 9) {
        0 => (start_at, None),
        1 => (None, end_at),
        2 => (start_at, end_at),
        _ => (None, None),
    }
}

fn follow_up(random: &mut Random) -> FollowUp {
    match random.between(0, 9) {
        0..=4 => FollowUp::Nothing,
        5..=6 => FollowUp::Cancel { after: random.duration(0, 12_000) },
        _ => FollowUp::CancelAndRetry { after: random.duration(0, 8_000), then: random.duration(0, 3_000) },
    }
}
