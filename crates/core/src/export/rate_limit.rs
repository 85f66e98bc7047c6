//! The limit of exports that a client may create: a sliding window, so that no minute has more than the limit, wherever
//! it begins. `store/clients/rate_limits.rs` stores the times.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// "10 a minute" holds for any minute.
pub const WINDOW: Duration = Duration::from_secs(60);

/// A limit on creations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit(u32);

/// The remaining part of a client's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Creations allowed in a window.
    pub limit: u32,
    /// Creations still allowed now.
    pub remaining: u32,
    /// Seconds, rounded up, until one more is allowed than now; 0 if none was used.
    pub reset_after: u32,
}

impl RateLimit {
    /// `limit` creations in a window; 0: no limit.
    pub const fn new(limit: u32) -> Option<Self> {
        if limit == 0 { None } else { Some(Self(limit)) }
    }

    /// The quota at `now` after creations at these times, in any order.
    pub fn quota(self, accepted: &[DateTime<Utc>], now: DateTime<Utc>) -> Quota {
        let age = |time: &DateTime<Utc>| (now - *time).to_std().unwrap_or_default();
        let counted = accepted.iter().map(age).filter(|age| *age < WINDOW);
        let used = u32::try_from(counted.clone().count()).unwrap_or(u32::MAX);
        let oldest = counted.max();
        // If the limit was lowered, several must leave the window before another is allowed.
        let blocking = used.saturating_sub(self.0);
        let frees = if blocking == 0 { oldest } else { nth_oldest(accepted.iter().map(age), blocking) };
        Quota {
            limit: self.0,
            remaining: self.0.saturating_sub(used),
            reset_after: frees.map_or(0, |age| whole_seconds(WINDOW.saturating_sub(age))),
        }
    }
}

/// The age of the creation that leaves the window after `skipped` others.
fn nth_oldest(ages: impl Iterator<Item = Duration>, skipped: u32) -> Option<Duration> {
    let mut ages: Vec<_> = ages.filter(|age| *age < WINDOW).collect();
    ages.sort_unstable_by(|one, other| other.cmp(one));
    ages.get(usize::try_from(skipped).ok()?).copied()
}

fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

    fn ago(milliseconds: &[i64]) -> Vec<DateTime<Utc>> {
        milliseconds.iter().map(|ms| NOW - TimeDelta::milliseconds(*ms)).collect()
    }

    fn quota(limit: u32, milliseconds: &[i64]) -> (u32, u32) {
        let quota = RateLimit::new(limit).unwrap().quota(&ago(milliseconds), NOW);
        (quota.remaining, quota.reset_after)
    }

    #[test]
    fn a_creation_counts_for_one_minute() {
        assert_eq!(quota(3, &[]), (3, 0));
        assert_eq!(quota(3, &[0]), (2, 60));
        assert_eq!(quota(3, &[59_001, 20_000, 0]), (0, 1));
        assert_eq!(quota(3, &[60_000, 20_000, 0]), (1, 40));
        assert_eq!(quota(3, &[90_000]), (3, 0));
        assert!(RateLimit::new(0).is_none());
    }

    #[test]
    fn after_the_limit_was_lowered_several_creations_must_expire() {
        assert_eq!(quota(1, &[50_000, 30_000, 10_000]), (0, 50));
    }

    #[test]
    fn a_time_in_the_future_counts_as_now() {
        assert_eq!(quota(1, &[-5000]), (0, 60));
    }

    proptest! {
        #[test]
        fn no_window_has_more_than_the_limit(limit in 1_u32..6, pauses in proptest::collection::vec(0_i64..40_000, 1..60)) {
            let limited = RateLimit::new(limit).unwrap();
            let (mut now, mut accepted) = (NOW, Vec::new());
            for pause in pauses {
                now += TimeDelta::milliseconds(pause);
                let quota = limited.quota(&accepted, now);
                if quota.remaining > 0 {
                    accepted.push(now);
                } else {
                    let freed = now + TimeDelta::seconds(quota.reset_after.into());
                    prop_assert!(limited.quota(&accepted, freed).remaining > 0, "when it says so");
                }
            }
            for end in &accepted {
                let window = TimeDelta::from_std(WINDOW).unwrap();
                let within = accepted.iter().filter(|time| *time <= end && *end - **time < window).count();
                prop_assert!(within <= limit as usize);
            }
        }
    }
}
