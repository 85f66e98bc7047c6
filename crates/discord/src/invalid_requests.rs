//! Stops before Discord blocks the address: it allows 10,000 answers of 401, 403 and 429 in ten minutes.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time of the process, as a parameter.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

const WINDOW: Duration = Duration::from_mins(10);
/// Leaves a fifth of Discord's limit to other programs at the same address.
const STOP_AT: u32 = 8_000;
/// Requests this close together share one entry, which bounds the memory.
const GRAIN: Duration = Duration::from_secs(1);

/// The invalid requests of the last ten minutes: those of this client, and those that others [record](Self::record), such
/// as the refused first request of each DCE.
pub struct InvalidRequests {
    stop_at: u32,
    clock: Clock,
    window: Mutex<Window>,
}

impl InvalidRequests {
    /// `shared_by` processes at one address have an equal part of the limit each.
    pub fn new(shared_by: NonZeroU32, clock: Clock) -> Self {
        Self { stop_at: (STOP_AT / shared_by).max(1), clock, window: Mutex::default() }
    }

    /// Counts one request that Discord answers with 401, 403 or 429, unless the 429 is of the scope `shared`.
    pub fn record(&self) {
        let now = (self.clock)();
        let mut window = self.window();
        window.add(now);
        if window.total >= self.stop_at && !window.warned {
            window.warned = true;
            tracing::warn!(
                requests = window.total,
                limit = self.stop_at,
                consequence = "neither DCE nor the worker asks Discord until the count of ten minutes falls",
                "discord.too_many_invalid_requests"
            );
        }
    }

    /// Whether neither DCE nor this client may ask Discord now.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted_for().is_some()
    }

    /// Time until the next request is allowed; `None`: now.
    pub fn exhausted_for(&self) -> Option<Duration> {
        let now = (self.clock)();
        let mut window = self.window();
        window.expire(now);
        let until = window.falls_below(self.stop_at);
        window.warned &= until.is_some();
        until.map(|until| until.saturating_duration_since(now))
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for InvalidRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidRequests").field("stop_at", &self.stop_at).finish_non_exhaustive()
    }
}

/// Counts by second. A count expires ten minutes after the end of its second: never too early.
#[derive(Default)]
struct Window {
    counts: VecDeque<Count>,
    total: u32,
    warned: bool,
}

struct Count {
    since: Instant,
    requests: u32,
}

impl Count {
    fn expires(&self) -> Instant {
        self.since + GRAIN + WINDOW
    }
}

impl Window {
    fn add(&mut self, now: Instant) {
        self.expire(now);
        match self.counts.back_mut() {
            Some(count) if now < count.since + GRAIN => count.requests += 1,
            _ => self.counts.push_back(Count { since: now, requests: 1 }),
        }
        self.total += 1;
    }

    fn expire(&mut self, now: Instant) {
        while let Some(count) = self.counts.pop_front_if(|count| count.expires() <= now) {
            self.total -= count.requests;
        }
    }

    /// When the total is below `limit` if nothing is added; `None`: now.
    fn falls_below(&self, limit: u32) -> Option<Instant> {
        let mut left = self.total;
        let mut until = None;
        for count in &self.counts {
            if left < limit {
                break;
            }
            left -= count.requests;
            until = Some(count.expires());
        }
        until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A counter and the clock that it reads.
    fn counter(shared_by: u32) -> (InvalidRequests, Arc<Mutex<Instant>>) {
        let now = Arc::new(Mutex::new(Instant::now()));
        let read = Arc::clone(&now);
        let clock: Clock = Arc::new(move || *read.lock().unwrap());
        (InvalidRequests::new(shared_by.try_into().unwrap(), clock), now)
    }

    fn record(counter: &InvalidRequests, times: u32) {
        (0..times).for_each(|_| counter.record());
    }

    #[test]
    fn eight_thousand_invalid_requests_stop_everything_for_ten_minutes() {
        let (counter, now) = counter(1);
        record(&counter, 7_999);
        assert!(!counter.is_exhausted());
        counter.record();
        assert_eq!(counter.exhausted_for(), Some(WINDOW + GRAIN));
        *now.lock().unwrap() += WINDOW;
        assert!(counter.is_exhausted());
        *now.lock().unwrap() += GRAIN;
        assert!(!counter.is_exhausted());
    }

    #[test]
    fn processes_at_one_address_share_the_limit() {
        let (counter, _) = counter(4);
        record(&counter, 1_999);
        assert!(!counter.is_exhausted());
        counter.record();
        assert!(counter.is_exhausted());
    }

    #[test]
    fn requests_are_allowed_again_when_the_oldest_expire() {
        let (counter, now) = counter(1);
        record(&counter, 5_000);
        *now.lock().unwrap() += WINDOW / 2;
        record(&counter, 3_000);
        assert_eq!(counter.exhausted_for(), Some(WINDOW / 2 + GRAIN));
        *now.lock().unwrap() += WINDOW / 2 + GRAIN;
        assert!(!counter.is_exhausted());
        record(&counter, 4_999);
        assert!(!counter.is_exhausted());
        counter.record();
        assert!(counter.is_exhausted());
    }

    proptest! {
        #[test]
        fn the_count_is_never_too_low_and_at_most_a_second_late(
            steps in proptest::collection::vec((0_u64..90_000, 1_u32..40), 1..80)
        ) {
            let (counter, now) = counter(100);
            let mut recorded = Vec::new();
            for (pause, times) in steps {
                *now.lock().unwrap() += Duration::from_millis(pause);
                let at = *now.lock().unwrap();
                record(&counter, times);
                recorded.extend(std::iter::repeat_n(at, times as usize));
                let within = |window: Duration| recorded.iter().filter(|then| **then + window > at).count();
                let exhausted = counter.is_exhausted();
                prop_assert!(exhausted || within(WINDOW) < 80);
                prop_assert!(!exhausted || within(WINDOW + GRAIN) >= 80);
                if let Some(wait) = counter.exhausted_for() {
                    let left = recorded.iter().filter(|then| **then + WINDOW > at + wait).count();
                    prop_assert!(left < 80);
                }
            }
        }
    }
}
