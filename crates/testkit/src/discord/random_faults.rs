//! Faults at random, the same for the same seed and the same order of requests.

use dce_standin::random::SplitMix64;

use super::fault::Effect;
use super::request::Request;

/// Chooses the requests that may be affected.
type Condition = fn(&Request) -> bool;

/// Effects with their shares of the requests that they may affect.
#[derive(Debug, Clone)]
pub struct RandomFaults {
    random: SplitMix64,
    shares: Vec<(u64, Effect, Condition)>,
}

impl RandomFaults {
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), shares: Vec::new() }
    }

    /// Affects this many of a thousand requests in this way.
    #[must_use]
    pub fn per_mille(self, share: u64, effect: Effect) -> Self {
        self.per_mille_of(|_| true, share, effect)
    }

    /// Affects this many of a thousand requests for which `condition` holds in this way.
    #[must_use]
    pub fn per_mille_of(mut self, condition: Condition, share: u64, effect: Effect) -> Self {
        self.shares.push((share, effect, condition));
        self
    }

    /// What happens to a request.
    pub(super) fn draw(&mut self, request: &Request) -> Option<Effect> {
        let mut drawn = self.random.draw() % 1000;
        for (share, effect, condition) in &self.shares {
            match drawn.checked_sub(*share) {
                Some(rest) => drawn = rest,
                None => return Some(*effect).filter(|_| condition(request)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RandomFaults;
    use crate::discord::fault::Effect;
    use crate::discord::request::{Auth, Request};
    use crate::discord::route::Route;

    #[test]
    fn shares_are_kept_and_a_seed_repeats_them() {
        let (at, query) = (Duration::ZERO, Vec::new());
        let request = Request { at, route: Route::CurrentUser, auth: Auth::Bot, query, status: None };
        let draw = || {
            let mut faults =
                RandomFaults::new(5).per_mille(100, Effect::Drop).per_mille(200, Effect::Status(500));
            faults = faults.per_mille_of(|request| request.route != Route::CurrentUser, 100, Effect::Stall);
            (0..10_000).map(|_| faults.draw(&request)).collect::<Vec<_>>()
        };
        let drawn = draw();
        let count = |effect| drawn.iter().filter(|drawn| **drawn == Some(effect)).count();
        assert!((900..1_100).contains(&count(Effect::Drop)), "{}", count(Effect::Drop));
        assert!((1_850..2_150).contains(&count(Effect::Status(500))), "{}", count(Effect::Status(500)));
        assert_eq!(count(Effect::Stall), 0, "it is for other requests");
        assert_eq!(draw(), drawn);
    }
}
