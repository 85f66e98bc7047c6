//! Random draws that can be repeated: the same for the same seed, on every machine and in every version.

use std::time::Duration;

use dce_standin::random::SplitMix64;

#[derive(Debug, Clone)]
pub(crate) struct Random(SplitMix64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// 64 random bits.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// A time span, to the millisecond.
    pub(crate) fn duration(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        Duration::from_millis(self.between(low_ms, high_ms))
    }

    /// True with this probability in percent.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.draw() % 100 < share
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[index(self.draw(), from.len())]
    }
}

/// `number` as an index of something with `length` elements.
#[expect(clippy::cast_possible_truncation, reason = "below the length of something in memory")]
pub(crate) fn index(number: u64, length: usize) -> usize {
    (number % length.max(1) as u64) as usize
}
