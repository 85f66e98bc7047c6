//! Discord's clock, as far as its answers tell it. This machine's own clock may be wrong and decides nothing here.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;

/// `Date` has whole seconds: Discord's clock is less than this ahead of it.
const DATE_RESOLUTION: Duration = Duration::from_secs(1);
/// How far the start of an attempt by Discord's clock lies below the best guess: the resolution of `Date` and the way of
/// the answer.
const START_MARGIN: Duration = Duration::from_secs(2);

/// What an answer tells about Discord's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DiscordClock {
    /// Discord's clock when it answered, at the latest.
    now: DateTime<Utc>,
}

impl DiscordClock {
    /// `date`: the answer's `Date`.
    pub(super) fn new(date: DateTime<Utc>) -> Self {
        Self { now: date + DATE_RESOLUTION }
    }

    /// A bound above every message that exists by this clock; `newest`: the newest message seen, which exists.
    pub(super) fn bound(self, newest: Option<Snowflake>) -> Option<Snowflake> {
        let after_newest = newest.map(|id| id.time() + Duration::from_millis(1));
        Snowflake::first_at(after_newest.map_or(self.now, |after| after.max(self.now)))
    }

    /// The first id of an attempt that began `elapsed` before the answer, or of a moment shortly before it.
    pub(super) fn start_of_attempt(self, elapsed: Duration) -> Option<Snowflake> {
        let start = self.now.checked_sub_signed(chrono::Duration::from_std(elapsed + START_MARGIN).ok()?)?;
        Snowflake::first_at(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date() -> DateTime<Utc> {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_bound_is_never_below_an_existing_message() {
        let clock = DiscordClock::new(date());
        assert_eq!(clock.bound(None).unwrap().time(), date() + Duration::from_secs(1));
        let ahead = Snowflake::first_at(date() + Duration::from_secs(30)).unwrap();
        assert_eq!(clock.bound(Some(ahead)).unwrap().time(), ahead.time() + Duration::from_millis(1));
        let behind = Snowflake::first_at(date() - Duration::from_secs(30)).unwrap();
        assert_eq!(clock.bound(Some(behind)), clock.bound(None));
    }

    #[test]
    fn an_attempt_begins_at_least_a_second_later_than_assumed() {
        let start = DiscordClock::new(date()).start_of_attempt(Duration::from_secs(10)).unwrap();
        assert_eq!(start.time(), date() - Duration::from_secs(11));
        assert_eq!(DiscordClock::new(date()).start_of_attempt(Duration::MAX / 2), None);
    }
}
