//! Chance that can be repeated: the same numbers for the same seed, on every machine.

/// A small generator of numbers (splitmix64): fast, and good enough to choose words.
pub(super) struct Chance(u64);

impl Chance {
    /// The chance of one message, or of whatever else has a number.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ number.wrapping_mul(0xA24B_AED4_963E_E407))
    }

    /// 64 bits.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0, each below `limit` equally often.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }

    /// Below `limit`, the low ones more often: half of all are in the first quarter.
    pub(super) fn low_below(&mut self, limit: u64) -> u64 {
        const ONE: u64 = 1 << 16;
        let share = self.below(ONE);
        (share * share * limit) >> 32
    }

    /// True for this many out of a thousand.
    pub(super) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[index(self.below(from.len() as u64))]
    }
}

/// An index into something in memory.
#[expect(clippy::cast_possible_truncation, reason = "callers stay below the length of a slice")]
pub(super) fn index(below: u64) -> usize {
    below as usize
}
