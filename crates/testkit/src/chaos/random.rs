//! Chance that can be repeated: the same draws for the same seed, on every machine and with every version.

use std::time::Duration;

/// A small generator of numbers (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low + 1)
    }

    /// A time span, to the millisecond.
    pub(crate) fn duration(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        Duration::from_millis(self.between(low_ms, high_ms))
    }

    /// True for this many out of a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.draw() % 100 < share
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[index(self.draw(), from.len())]
    }
}

/// `number` as an index of something with `length` elements.
#[expect(clippy::cast_possible_truncation, reason = "below the length of something in memory")]
pub(crate) fn index(number: u64, length: usize) -> usize {
    (number % length.max(1) as u64) as usize
}
