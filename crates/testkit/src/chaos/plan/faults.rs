//! The faults of a seed and their times.

use std::time::Duration;

use dce_testkit::proxy::Lost;

use super::{Fleet, Theme};
use crate::random::{Random, index};

/// How often another fault is drawn in place of one that cannot come now.
const TRIES: u32 = 4;

/// What is done to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and a new one after a while.
    KillWorker { worker: usize, away: Duration },
    /// SIGSTOP, and SIGCONT after a while.
    PauseWorker { worker: usize, lasts: Duration },
    /// SIGTERM, and a new one a while after its end. `again`: a second SIGTERM so long after the first.
    DrainWorker { worker: usize, away: Duration, again: Option<Duration> },
    /// SIGKILL of the API, and a new one after a while.
    KillApi { away: Duration },
    /// SIGKILL of one DCE.
    KillDce { which: u64 },
    /// Postgres stops, in order or as in a crash, and comes back.
    RestartPostgres { crash: bool, away: Duration },
    /// Sessions of the service are terminated.
    EndSessions { first: u64, count: u64 },
    /// All sessions that the server allows are taken by somebody else.
    TakeSessions { lasts: Duration },
    /// All connections are cut.
    Cut,
    /// No new connection is taken.
    Refuse { lasts: Duration },
    /// Nothing comes through.
    Freeze { lasts: Duration },
    /// Everything comes through slowly.
    Delay { chunk: Duration, lasts: Duration },
    /// The next COMMITs are cut off from their answers, or from the server.
    LoseCommits { lost: Lost, count: u64 },
    /// The disk of the workers is full.
    FillDisk { lasts: Duration },
}

/// A fault and when it comes, counted from the first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimedFault {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

impl Fault {
    /// How many kinds there are.
    #[cfg(test)]
    pub(crate) const KINDS: usize = 14;

    /// The worker it is about.
    pub(crate) const fn worker(&self) -> Option<usize> {
        match self {
            Self::KillWorker { worker, .. }
            | Self::PauseWorker { worker, .. }
            | Self::DrainWorker { worker, .. } => Some(*worker),
            _ => None,
        }
    }

    /// How long it takes, at most.
    pub(crate) fn lasts(&self) -> Duration {
        match self {
            Self::KillWorker { away, .. } | Self::KillApi { away } | Self::RestartPostgres { away, .. } => {
                *away
            }
            Self::DrainWorker { away, again, .. } => {
                // The longest grace; a second signal ends it at once.
                again.unwrap_or(Duration::from_secs(15)) + *away
            }
            Self::PauseWorker { lasts, .. }
            | Self::TakeSessions { lasts }
            | Self::Refuse { lasts }
            | Self::Freeze { lasts }
            | Self::Delay { lasts, .. }
            | Self::FillDisk { lasts } => *lasts,
            Self::KillDce { .. } | Self::EndSessions { .. } | Self::Cut | Self::LoseCommits { .. } => {
                Duration::ZERO
            }
        }
    }

    /// Whether it keeps all workers from resuming anything: those of the database, the network and the disk.
    pub(crate) const fn disturbs_all(&self) -> bool {
        !matches!(
            self,
            Self::KillWorker { .. }
                | Self::PauseWorker { .. }
                | Self::DrainWorker { .. }
                | Self::KillApi { .. }
                | Self::KillDce { .. }
        )
    }
}

/// One fault every one to three seconds.
pub(super) fn draw(random: &mut Random, theme: Theme, fleet: &Fleet, lasts: Duration) -> Vec<TimedFault> {
    let mut faults = Vec::new();
    // When each worker, and everything else, is whole again.
    let mut workers_free_at = vec![Duration::ZERO; fleet.workers];
    let mut others_free_at = Duration::ZERO;
    let mut at = random.duration(500, 3_000);
    while at < lasts {
        let first = usize::from(theme == Theme::Processes);
        let free: Vec<usize> =
            (first..fleet.workers).filter(|worker| workers_free_at[*worker] <= at).collect();
        let worker = free.get(index(random.draw(), free.len())).copied();
        let possible = (0..TRIES).find_map(|_| {
            one(random, theme, worker).filter(|fault| !fault.disturbs_all() || others_free_at <= at)
        });
        if let Some(fault) = possible {
            let whole_at = at + fault.lasts();
            match fault.worker() {
                Some(worker) => workers_free_at[worker] = whole_at,
                None if fault.disturbs_all() => others_free_at = whole_at,
                None => {}
            }
            faults.push(TimedFault { at, fault });
        }
        at += random.duration(600, 2_600);
    }
    faults
}

/// One fault of this theme; none if it would be one of a worker and none is free.
fn one(random: &mut Random, theme: Theme, worker: Option<usize>) -> Option<Fault> {
    match theme {
        Theme::Database if random.percent(75) => Some(of_database(random)),
        Theme::Network if random.percent(75) => Some(of_network(random)),
        Theme::Processes | Theme::Database | Theme::Network => of_processes(random, worker),
        Theme::Everything => match random.between(0, 9) {
            0..=3 => of_processes(random, worker),
            4..=5 => Some(of_database(random)),
            6..=8 => Some(of_network(random)),
            _ => Some(Fault::FillDisk { lasts: random.duration(2_000, 6_000) }),
        },
    }
}

fn of_processes(random: &mut Random, worker: Option<usize>) -> Option<Fault> {
    let away = random.duration(0, 3_000);
    Some(match random.between(0, 9) {
        0..=3 => Fault::KillWorker { worker: worker?, away },
        4 => Fault::PauseWorker { worker: worker?, lasts: random.duration(1_000, 10_000) },
        // Longer than a lease.
        5 => Fault::PauseWorker { worker: worker?, lasts: random.duration(22_000, 30_000) },
        6 => Fault::DrainWorker { worker: worker?, away, again: None },
        7 => Fault::DrainWorker { worker: worker?, away, again: Some(random.duration(50, 1_500)) },
        8 => Fault::KillApi { away },
        _ => Fault::KillDce { which: random.draw() },
    })
}

fn of_database(random: &mut Random) -> Fault {
    match random.between(0, 4) {
        0..=1 => Fault::RestartPostgres { crash: random.percent(50), away: random.duration(1_000, 8_000) },
        2..=3 => Fault::EndSessions { first: random.draw(), count: random.between(1, 6) },
        _ => Fault::TakeSessions { lasts: random.duration(2_000, 6_000) },
    }
}

fn of_network(random: &mut Random) -> Fault {
    match random.between(0, 9) {
        0..=3 => Fault::LoseCommits {
            lost: *random.pick(&[Lost::Request, Lost::Answer]),
            count: random.between(1, 6),
        },
        4..=5 => Fault::Cut,
        6 => Fault::Refuse { lasts: random.duration(1_000, 6_000) },
        7..=8 => Fault::Freeze { lasts: random.duration(1_000, 8_000) },
        _ => Fault::Delay { chunk: random.duration(5, 50), lasts: random.duration(2_000, 6_000) },
    }
}
