//! What the headers of an answer say about rate limits.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// A longer wait is an error of the sender; it also keeps times from overflowing.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The state of the bucket that an answer belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BucketHeaders {
    pub(crate) bucket: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) remaining: Option<u32>,
    pub(crate) reset_after: Option<Duration>,
}

impl BucketHeaders {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        Self {
            bucket: text(headers, "x-ratelimit-bucket").map(str::to_owned),
            limit: text(headers, "x-ratelimit-limit").and_then(|value| value.parse().ok()),
            remaining: text(headers, "x-ratelimit-remaining").and_then(|value| value.parse().ok()),
            reset_after: text(headers, "x-ratelimit-reset-after").and_then(seconds),
        }
    }
}

/// Whose limit a 429 is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This token's, on this bucket.
    User,
    /// This token's, on all routes, or this address's.
    Global,
    /// The resource's, by all who use it: not an invalid request.
    Shared,
}

impl Scope {
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        match text(headers, "x-ratelimit-scope")? {
            "user" => Some(Self::User),
            "global" => Some(Self::Global),
            "shared" => Some(Self::Shared),
            _ => None,
        }
    }
}

/// `Retry-After` in seconds; Discord and Cloudflare do not send dates.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    seconds(headers.get(RETRY_AFTER)?.to_str().ok()?)
}

pub(crate) fn duration_of_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST_WAIT))
}

fn seconds(text: &str) -> Option<Duration> {
    duration_of_seconds(text.trim().parse().ok()?)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn limits_are_read_and_nonsense_is_ignored() {
        let read = BucketHeaders::read(&headers(&[
            ("X-RateLimit-Bucket", "abcd"),
            ("X-RateLimit-Limit", "5"),
            ("X-RateLimit-Remaining", "4"),
            ("X-RateLimit-Reset-After", "1.5"),
        ]));
        assert_eq!(read.bucket.as_deref(), Some("abcd"));
        assert_eq!((read.limit, read.remaining), (Some(5), Some(4)));
        assert_eq!(read.reset_after, Some(Duration::from_millis(1500)));
        let nonsense = headers(&[("X-RateLimit-Remaining", "-1"), ("X-RateLimit-Reset-After", "NaN")]);
        assert_eq!(BucketHeaders::read(&nonsense), BucketHeaders::default());
    }

    #[test]
    fn a_wait_is_at_most_a_day() {
        assert_eq!(retry_after(&headers(&[("Retry-After", "3")])), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(&headers(&[("Retry-After", "1e300")])), None);
        assert_eq!(retry_after(&headers(&[("Retry-After", "1e15")])), Some(LONGEST_WAIT));
        assert_eq!(retry_after(&headers(&[("Retry-After", "-1")])), None);
        assert_eq!(retry_after(&headers(&[("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")])), None);
    }
}
