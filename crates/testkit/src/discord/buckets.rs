//! Discord's limits on requests, by bucket.

use std::collections::HashMap;
use std::time::Duration;

/// The limit of every bucket.
#[derive(Debug, Clone, Copy)]
struct Limit {
    requests: u32,
    window: Duration,
}

/// Counts the requests of each bucket in windows that begin with its first request.
#[derive(Debug)]
pub(super) struct Buckets {
    limit: Limit,
    /// The end of each bucket's window, and its requests so far.
    used: HashMap<String, (Duration, u32)>,
}

/// The state of a bucket after a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_after: Duration,
    /// Whether the request was one too many.
    pub(super) is_exceeded: bool,
}

impl Default for Buckets {
    /// More than any client sends, so that nobody waits.
    fn default() -> Self {
        Self::new(100_000, Duration::from_secs(1))
    }
}

impl Buckets {
    pub(super) fn new(requests: u32, window: Duration) -> Self {
        Self { limit: Limit { requests, window }, used: HashMap::new() }
    }

    /// Counts a request that comes at `now`.
    pub(super) fn count(&mut self, bucket: String, now: Duration) -> Usage {
        let Limit { requests, window } = self.limit;
        let (end, used) = self.used.entry(bucket).or_insert((now + window, 0));
        if *end <= now {
            (*end, *used) = (now + window, 0);
        }
        let is_exceeded = *used >= requests;
        if !is_exceeded {
            *used += 1;
        }
        Usage {
            limit: requests,
            remaining: requests - *used,
            reset_after: end.saturating_sub(now),
            is_exceeded,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Buckets;

    #[test]
    fn a_bucket_is_full_until_its_window_ends() {
        let mut buckets = Buckets::new(2, Duration::from_secs(5));
        let mut at = |seconds, bucket: &str| {
            let usage = buckets.count(bucket.to_owned(), Duration::from_secs(seconds));
            (usage.remaining, usage.is_exceeded)
        };
        assert_eq!([at(1, "a"), at(2, "a"), at(3, "a")], [(1, false), (0, false), (0, true)]);
        assert_eq!(at(3, "b"), (1, false));
        assert_eq!(at(6, "a"), (1, false));
    }
}
