//! A random number generator that gives the same numbers for the same seed on every machine and in every version.

/// splitmix64: fast, and good enough for test data and test plans.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    pub const fn new(seed: u64) -> Self {
        Self(Self::scramble(seed))
    }

    pub const fn with_state(state: u64) -> Self {
        Self(state)
    }

    /// Spreads seeds that lie close together.
    pub const fn scramble(seed: u64) -> u64 {
        seed.wrapping_mul(0xD134_2543_DE82_EF95)
    }

    /// 64 random bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
