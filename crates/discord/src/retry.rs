//! Decides when a failed request is repeated.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The time of the next request after this number of failures in a row; `None` if it would not be before `deadline`.
pub(crate) fn next_request(
    failures: u32,
    retry_after: Option<Duration>,
    now: Instant,
    deadline: Instant,
) -> Option<Instant> {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let at = now + pause.max(retry_after.unwrap_or_default());
    (at < deadline).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let now = Instant::now();
        let pauses = (1..=7)
            .map(|failures| next_request(failures, None, now, now + Duration::from_secs(60)).unwrap() - now);
        let expected = [500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000].map(Duration::from_millis);
        assert!(pauses.eq(expected));
        assert!(next_request(u32::MAX, None, now, now + Duration::from_secs(6)).is_some());
    }

    #[test]
    fn a_longer_retry_after_is_respected() {
        let now = Instant::now();
        let wait = Duration::from_secs(20);
        assert_eq!(next_request(1, Some(wait), now, now + wait * 2), Some(now + wait));
    }

    #[test]
    fn no_request_is_planned_at_or_after_the_deadline() {
        let now = Instant::now();
        assert_eq!(next_request(1, None, now, now + FIRST_PAUSE), None);
        assert_eq!(next_request(1, Some(Duration::from_secs(9)), now, now + Duration::from_secs(9)), None);
    }
}
