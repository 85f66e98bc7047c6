//! How long DCE waits between requests.

use std::time::Duration;

/// A request is repeated this often.
const RETRIES: u32 = 8;
const LONGEST_ADVISED_WAIT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Whether an answer of this status makes DCE repeat the request.
pub(super) fn is_retried(status: u16) -> bool {
    matches!(status, 408 | 429) || status >= 500
}

/// The wait before repetition number `retry` (from 0). None: the last answer counts.
pub(super) fn wait(retry: u32, retry_after: Option<&str>) -> Option<Duration> {
    if retry >= RETRIES {
        return None;
    }
    let asked_for = retry_after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    Some(asked_for.unwrap_or(Duration::from_secs(1 << retry)) + SECOND)
}

/// The wait after an answer that was the last one of its bucket.
pub(super) fn advised_wait(remaining: Option<&str>, reset_after: Option<&str>) -> Option<Duration> {
    let remaining: i64 = remaining?.parse().ok()?;
    let reset_after = Duration::try_from_secs_f64(reset_after?.parse().ok()?).ok()?;
    (remaining <= 0).then(|| (reset_after + SECOND).min(LONGEST_ADVISED_WAIT))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{advised_wait, is_retried, wait};

    #[test]
    fn waits_double_unless_discord_names_one() {
        let waits: Vec<_> = (0..9).map_while(|retry| wait(retry, None)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [2, 3, 5, 9, 17, 33, 65, 129]);
        assert_eq!(wait(7, Some("1")), Some(Duration::from_secs(2)));
        assert_eq!(wait(8, Some("1")), None);
        assert_eq!(wait(0, Some("1.5")), Some(Duration::from_secs(2)), ".NET reads whole seconds only");
    }

    #[test]
    fn refusals_are_not_repeated() {
        assert!([408, 429, 500, 502, 503].into_iter().all(is_retried));
        assert!(![200, 400, 401, 403, 404].into_iter().any(is_retried));
    }

    #[test]
    fn the_last_request_of_a_bucket_waits_for_its_end() {
        assert_eq!(advised_wait(Some("0"), Some("0.5")), Some(Duration::from_millis(1500)));
        assert_eq!(advised_wait(Some("0"), Some("900")), Some(Duration::from_secs(60)));
        assert_eq!(advised_wait(Some("1"), Some("0.5")), None);
        assert_eq!(advised_wait(None, Some("0.5")), None);
    }
}
