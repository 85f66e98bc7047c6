//! What Discord does wrong during the whole load of a seed.

use dce_standin::scenario::Scenario;

use crate::random::Random;

/// Pairs of one millisecond in each channel that is exported from Discord.
const PAIRS: u64 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiscordPlan {
    /// Of the faults at random.
    pub(crate) seed: u64,
    pub(crate) pairs: Vec<DisorderedPair>,
}

/// A message that gets a second one in its millisecond, listed before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DisorderedPair {
    pub(crate) channel: String,
    /// Chooses the message among those of the channel.
    pub(crate) message: u64,
}

impl DiscordPlan {
    pub(super) fn draw(random: &mut Random, scenario: &Scenario) -> Self {
        let seed = random.draw();
        // Only there DCE sees what Discord has besides the source.
        let asked = scenario.channels.iter().filter(|(_, channel)| channel.asks_discord);
        let pairs = asked.flat_map(|(id, _)| (0..PAIRS).map(move |_| id.clone()));
        let pairs = pairs.map(|channel| DisorderedPair { channel, message: random.draw() }).collect();
        Self { seed, pairs }
    }
}
