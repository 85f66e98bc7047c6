//! The plan of one seed: a pure function of its number. Only the timing of the processes depends on the machine, so a seed
//! that failed fails again, though not always at the first attempt.

mod channels;
mod discord;
mod faults;
mod load;

use std::time::Duration;

use dce_standin::scenario::Scenario;

pub(crate) use discord::DiscordPlan;
pub(crate) use faults::{Fault, TimedFault};
pub(crate) use load::{ExportPlan, FollowUp};

use crate::random::Random;

/// The kind of a seed's faults. Seeds take turns, so that one kind does not hide the effects of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Workers, the API and DCE die; one worker survives, and the database always answers.
    Processes,
    /// Postgres restarts, crashes, ends sessions, runs out of them.
    Database,
    /// Connections are cut, refused, frozen, slow, and lost at COMMIT.
    Network,
    /// Discord refuses requests, drops them, withdraws the history, cannot be reached.
    Discord,
    /// All of it, and a full disk.
    Everything,
}

impl Theme {
    const ALL: [Self; 5] = [Self::Processes, Self::Database, Self::Network, Self::Discord, Self::Everything];

    fn from_seed(seed: u64) -> Self {
        Self::ALL[crate::random::index(seed, Self::ALL.len())]
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Database => "database",
            Self::Network => "network",
            Self::Discord => "discord",
            Self::Everything => "everything",
        }
    }

    /// Whether Discord does anything wrong.
    const fn has_unreliable_discord(self) -> bool {
        matches!(self, Self::Discord | Self::Everything)
    }
}

/// The workers and their settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) workers: usize,
    /// Slots of each worker.
    pub(crate) slots: u32,
    pub(crate) stall_timeout: Duration,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) shutdown_grace: Duration,
    pub(crate) max_parallel_runs: Option<u32>,
}

impl Deployment {
    fn draw(random: &mut Random, theme: Theme) -> Self {
        let deployment = Self {
            workers: crate::random::index(random.draw(), 2) + 2,
            slots: *random.pick(&[2, 3]),
            stall_timeout: Duration::from_secs(random.between(4, 6)),
            export_timeout: random.percent(25).then(|| Duration::from_secs(random.between(8, 15))),
            shutdown_grace: Duration::from_secs(random.between(12, 15)),
            max_parallel_runs: random.percent(40).then(|| *random.pick(&[3, 4, 5])),
        };
        match theme {
            // Enough slots that no run waits for one while its resume is measured.
            Theme::Processes => Self { workers: 3, slots: 5, max_parallel_runs: None, ..deployment },
            _ => deployment,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeedPlan {
    pub(crate) seed: u64,
    pub(crate) theme: Theme,
    pub(crate) deployment: Deployment,
    /// DCE's behaviour at each attempt at each channel.
    pub(crate) scenario: Scenario,
    /// None: Discord does nothing wrong by itself.
    pub(crate) discord: Option<DiscordPlan>,
    /// In the order of their time.
    pub(crate) exports: Vec<ExportPlan>,
    /// In the order of their time.
    pub(crate) faults: Vec<TimedFault>,
}

impl SeedPlan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let theme = Theme::from_seed(seed);
        let deployment = Deployment::draw(&mut random, theme);
        let lasts = random.duration(15_000, 25_000);
        let scenario = channels::draw(&mut random, theme.has_unreliable_discord());
        let ids: Vec<String> = scenario.channels.keys().cloned().collect();
        let exports = load::draw(&mut random, &ids, lasts);
        let faults = faults::draw(&mut random, theme, &deployment, lasts);
        let discord = theme.has_unreliable_discord().then(|| DiscordPlan::draw(&mut random, &scenario));
        Self { seed, theme, deployment, scenario, discord, exports, faults }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem::{Discriminant, discriminant};

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        for seed in 0..50 {
            assert_eq!(SeedPlan::new(seed), SeedPlan::new(seed));
            assert_ne!(SeedPlan::new(seed).scenario, SeedPlan::new(seed + 1).scenario);
        }
    }

    #[test]
    fn seeds_cover_every_fault_and_every_follow_up() {
        let plans: Vec<SeedPlan> = (1..=50).map(SeedPlan::new).collect();
        let kinds: Vec<Discriminant<Fault>> =
            plans.iter().flat_map(|plan| &plan.faults).map(|timed| discriminant(&timed.fault)).collect();
        let mut different = kinds.clone();
        different.sort_by_key(|kind| format!("{kind:?}"));
        different.dedup();
        assert_eq!(different.len(), Fault::KINDS, "{different:?}");
        let follow_ups: BTreeSet<&str> =
            plans.iter().flat_map(|plan| &plan.exports).map(|export| export.follow_up.name()).collect();
        assert_eq!(follow_ups.len(), 3, "{follow_ups:?}");
        assert!(plans.iter().flat_map(|plan| &plan.exports).any(|export| export.start_at.is_some()));
    }

    #[test]
    fn one_worker_has_no_faults_where_resumes_are_measured() {
        for plan in (1..=80).map(SeedPlan::new).filter(|plan| plan.theme == Theme::Processes) {
            for timed in &plan.faults {
                assert_ne!(timed.fault.worker(), Some(0), "{timed:?}");
                assert!(!timed.fault.affects_all_workers(), "{timed:?}");
            }
        }
    }

    #[test]
    fn no_worker_has_two_faults_at_once() {
        for plan in (1..=80).map(SeedPlan::new) {
            let mut free_at = vec![Duration::ZERO; plan.deployment.workers];
            for timed in &plan.faults {
                if let Some(worker) = timed.fault.worker() {
                    assert!(timed.at >= free_at[worker], "{timed:?}");
                    free_at[worker] = timed.at + timed.fault.lasts();
                }
            }
        }
    }
}
