//! Faults at random, the same for the same seed and the same order of requests.

use dce_standin::random::SplitMix64;

use super::fault::Effect;

/// Effects with their shares of all requests.
#[derive(Debug, Clone)]
pub struct RandomFaults {
    random: SplitMix64,
    shares: Vec<(u64, Effect)>,
}

impl RandomFaults {
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), shares: Vec::new() }
    }

    /// Affects this many of a thousand requests in this way.
    #[must_use]
    pub fn per_mille(mut self, share: u64, effect: Effect) -> Self {
        self.shares.push((share, effect));
        self
    }

    /// What happens to the next request.
    pub(super) fn draw(&mut self) -> Option<Effect> {
        let mut drawn = self.random.draw() % 1000;
        for (share, effect) in &self.shares {
            match drawn.checked_sub(*share) {
                Some(rest) => drawn = rest,
                None => return Some(*effect),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::RandomFaults;
    use crate::discord::fault::Effect;

    #[test]
    fn shares_are_kept_and_a_seed_repeats_them() {
        let draw = || {
            let mut faults =
                RandomFaults::new(5).per_mille(100, Effect::Drop).per_mille(200, Effect::Status(500));
            (0..10_000).map(|_| faults.draw()).collect::<Vec<_>>()
        };
        let drawn = draw();
        let count = |effect| drawn.iter().filter(|drawn| **drawn == Some(effect)).count();
        assert!((900..1_100).contains(&count(Effect::Drop)), "{}", count(Effect::Drop));
        assert!((1_850..2_150).contains(&count(Effect::Status(500))), "{}", count(Effect::Status(500)));
        assert_eq!(draw(), drawn);
    }
}
