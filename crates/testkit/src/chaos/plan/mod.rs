//! What one seed does: a pure function of its number. Only the moments at which processes reach a point are left to
//! the machine, so that a seed that failed fails again, if not always at the first try.

mod channels;
mod faults;
mod load;

use std::time::Duration;

use dce_testkit::scenario::Scenario;

pub(crate) use faults::{Fault, TimedFault};
pub(crate) use load::{Ask, ExportPlan};

use crate::random::Random;

/// Which faults a seed has. In turn, so that what one kind breaks is not hidden by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Workers, the API and DCE die; one worker stays, and the database answers at all times.
    Processes,
    /// Postgres restarts, crashes, ends sessions, has none left.
    Database,
    /// Connections are cut, refused, frozen, slow, and lost at COMMIT.
    Network,
    /// All of it, and a full disk.
    Everything,
}

impl Theme {
    const ALL: [Self; 4] = [Self::Processes, Self::Database, Self::Network, Self::Everything];

    fn of(seed: u64) -> Self {
        Self::ALL[crate::random::index(seed, Self::ALL.len())]
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Database => "database",
            Self::Network => "network",
            Self::Everything => "everything",
        }
    }
}

/// The workers and their settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fleet {
    pub(crate) workers: usize,
    /// Of each worker.
    pub(crate) slots: u32,
    pub(crate) stall_timeout: Duration,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) shutdown_grace: Duration,
    pub(crate) max_parallel_runs: Option<u32>,
}

impl Fleet {
    fn draw(random: &mut Random, theme: Theme) -> Self {
        let fleet = Self {
            workers: crate::random::index(random.draw(), 2) + 2,
            slots: *random.pick(&[2, 3]),
            stall_timeout: Duration::from_secs(random.between(4, 6)),
            export_timeout: random.percent(25).then(|| Duration::from_secs(random.between(8, 15))),
            shutdown_grace: Duration::from_secs(random.between(12, 15)),
            max_parallel_runs: random.percent(40).then(|| *random.pick(&[3, 4, 5])),
        };
        match theme {
            // So many places that a run does not have to wait for one, where its resume is measured.
            Theme::Processes => Self { workers: 3, slots: 5, max_parallel_runs: None, ..fleet },
            _ => fleet,
        }
    }
}

/// Everything that a seed decides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) theme: Theme,
    pub(crate) fleet: Fleet,
    /// What DCE does at each attempt at each channel.
    pub(crate) scenario: Scenario,
    /// In the order of their time.
    pub(crate) exports: Vec<ExportPlan>,
    /// In the order of their time.
    pub(crate) faults: Vec<TimedFault>,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::of(seed);
        let theme = Theme::of(seed);
        let fleet = Fleet::draw(&mut random, theme);
        let lasts = random.duration(15_000, 25_000);
        let scenario = channels::draw(&mut random);
        let ids: Vec<String> = scenario.channels.keys().cloned().collect();
        let exports = load::draw(&mut random, &ids, lasts);
        let faults = faults::draw(&mut random, theme, &fleet, lasts);
        Self { seed, theme, fleet, scenario, exports, faults }
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
            assert_eq!(Plan::of(seed), Plan::of(seed));
            assert_ne!(Plan::of(seed).scenario, Plan::of(seed + 1).scenario);
        }
    }

    #[test]
    fn every_fault_and_every_ask_comes_up() {
        let plans: Vec<Plan> = (1..=50).map(Plan::of).collect();
        let kinds: Vec<Discriminant<Fault>> =
            plans.iter().flat_map(|plan| &plan.faults).map(|timed| discriminant(&timed.fault)).collect();
        let mut different = kinds.clone();
        different.sort_by_key(|kind| format!("{kind:?}"));
        different.dedup();
        assert_eq!(different.len(), Fault::KINDS, "{different:?}");
        let asks: BTreeSet<&str> =
            plans.iter().flat_map(|plan| &plan.exports).map(|export| export.ask.name()).collect();
        assert_eq!(asks.len(), 3, "{asks:?}");
        assert!(plans.iter().flat_map(|plan| &plan.exports).any(|export| export.start_at.is_some()));
    }

    #[test]
    fn one_worker_is_left_alone_where_resumes_are_measured() {
        for plan in (1..=80).map(Plan::of).filter(|plan| plan.theme == Theme::Processes) {
            for timed in &plan.faults {
                assert_ne!(timed.fault.worker(), Some(0), "{timed:?}");
                assert!(!timed.fault.disturbs_all(), "{timed:?}");
            }
        }
    }

    #[test]
    fn no_worker_has_two_faults_at_once() {
        for plan in (1..=80).map(Plan::of) {
            let mut free_at = vec![Duration::ZERO; plan.fleet.workers];
            for timed in &plan.faults {
                if let Some(worker) = timed.fault.worker() {
                    assert!(timed.at >= free_at[worker], "{timed:?}");
                    free_at[worker] = timed.at + timed.fault.lasts();
                }
            }
        }
    }
}
