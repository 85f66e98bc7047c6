//! The random numbers of a synthetic channel, the same for the same seed on every machine.

use crate::random::SplitMix64;

/// The random numbers of one message, or of something else with a number.
pub(super) struct Random(SplitMix64);

impl Random {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let state = SplitMix64::scramble(seed) ^ number.wrapping_mul(0xA24B_AED4_963E_E407);
        Self(SplitMix64::with_state(state))
    }

    /// 64 random bits.
    pub(super) fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number below `limit`, all equally likely.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }

    /// A number below `limit`, low ones more likely: half of all are in the first quarter.
    pub(super) fn low_below(&mut self, limit: u64) -> u64 {
        const ONE: u64 = 1 << 16;
        let share = self.below(ONE);
        (share * share * limit) >> 32
    }

    /// True with a probability of `share` per mille.
    pub(super) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[index(self.below(from.len() as u64))]
    }
}

/// An index into something in memory.
#[expect(clippy::cast_possible_truncation, reason = "callers stay below the length of a slice")]
pub(super) fn index(below: u64) -> usize {
    below as usize
}
