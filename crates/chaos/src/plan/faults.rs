//! The faults of a seed and their times.

use std::time::Duration;

use dce_testkit::proxy::Lost;

use super::{Deployment, Theme};
use crate::random::{Random, index};

/// How often another fault is drawn if one is not possible now.
const TRIES: u32 = 4;

/// A fault of the service or its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL; a new worker starts after a while.
    KillWorker { worker: usize, away: Duration },
    /// SIGSTOP; SIGCONT after a while.
    PauseWorker { worker: usize, lasts: Duration },
    /// SIGTERM; a new worker starts a while after its end. `again`: a second SIGTERM this long after the first.
    DrainWorker { worker: usize, away: Duration, again: Option<Duration> },
    /// SIGKILL of the API; a new one starts after a while.
    KillApi { away: Duration },
    /// SIGKILL of one DCE.
    KillDce { which: u64 },
    /// Postgres stops, in order or as in a crash, and starts again.
    RestartPostgres { crash: bool, away: Duration },
    /// Sessions of the service are terminated.
    EndSessions { first: u64, count: u64 },
    /// All sessions of the server are occupied.
    TakeSessions { lasts: Duration },
    /// All connections are cut.
    Cut,
    /// New connections are refused.
    Refuse { lasts: Duration },
    /// Nothing is passed on.
    Freeze { lasts: Duration },
    /// Everything is passed on slowly.
    Delay { chunk: Duration, lasts: Duration },
    /// The next COMMITs or their answers are lost.
    LoseCommits { lost: Lost, count: u64 },
    /// The disk of the workers is full.
    FillDisk { lasts: Duration },
    /// Discord cannot be reached.
    DiscordAway { lasts: Duration },
    /// Read Message History of one channel is withdrawn.
    HideHistory { which: u64, lasts: Duration },
}

/// A fault and its time since the first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimedFault {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

impl Fault {
    /// Number of kinds.
    #[cfg(test)]
    pub(crate) const KINDS: usize = 16;

    /// The affected worker.
    pub(crate) const fn worker(&self) -> Option<usize> {
        match self {
            Self::KillWorker { worker, .. }
            | Self::PauseWorker { worker, .. }
            | Self::DrainWorker { worker, .. } => Some(*worker),
            _ => None,
        }
    }

    /// The maximum duration.
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
            | Self::FillDisk { lasts }
            | Self::DiscordAway { lasts }
            | Self::HideHistory { lasts, .. } => *lasts,
            Self::KillDce { .. } | Self::EndSessions { .. } | Self::Cut | Self::LoseCommits { .. } => {
                Duration::ZERO
            }
        }
    }

    /// Whether no worker can resume a run: faults of the database, the network, the disk and Discord.
    pub(crate) const fn affects_all_workers(&self) -> bool {
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
pub(super) fn draw(
    random: &mut Random,
    theme: Theme,
    deployment: &Deployment,
    lasts: Duration,
) -> Vec<TimedFault> {
    let mut faults = Vec::new();
    // When each worker, and everything else, works again.
    let mut workers_free_at = vec![Duration::ZERO; deployment.workers];
    let mut others_free_at = Duration::ZERO;
    let mut at = random.duration(500, 3_000);
    while at < lasts {
        let first = usize::from(theme == Theme::Processes);
        let free: Vec<usize> =
            (first..deployment.workers).filter(|worker| workers_free_at[*worker] <= at).collect();
        let worker = free.get(index(random.draw(), free.len())).copied();
        let possible = (0..TRIES).find_map(|_| {
            draw_one(random, theme, worker)
                .filter(|fault| !fault.affects_all_workers() || others_free_at <= at)
        });
        if let Some(fault) = possible {
            let works_at = at + fault.lasts();
            match fault.worker() {
                Some(worker) => workers_free_at[worker] = works_at,
                None if fault.affects_all_workers() => others_free_at = works_at,
                None => {}
            }
            faults.push(TimedFault { at, fault });
        }
        at += random.duration(600, 2_600);
    }
    faults
}

/// One fault of this theme; none if it needs a worker and none is free.
fn draw_one(random: &mut Random, theme: Theme, worker: Option<usize>) -> Option<Fault> {
    match theme {
        Theme::Database if random.percent(75) => Some(database_fault(random)),
        Theme::Network if random.percent(75) => Some(network_fault(random)),
        Theme::Discord if random.percent(75) => Some(discord_fault(random)),
        Theme::Processes | Theme::Database | Theme::Network | Theme::Discord => {
            processes_fault(random, worker)
        }
        Theme::Everything => match random.between(0, 10) {
            0..=3 => processes_fault(random, worker),
            4..=5 => Some(database_fault(random)),
            6..=8 => Some(network_fault(random)),
            9 => Some(discord_fault(random)),
            _ => Some(Fault::FillDisk { lasts: random.duration(2_000, 6_000) }),
        },
    }
}

fn processes_fault(random: &mut Random, worker: Option<usize>) -> Option<Fault> {
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

fn database_fault(random: &mut Random) -> Fault {
    match random.between(0, 4) {
        0..=1 => Fault::RestartPostgres { crash: random.percent(50), away: random.duration(1_000, 8_000) },
        2..=3 => Fault::EndSessions { first: random.draw(), count: random.between(1, 6) },
        _ => Fault::TakeSessions { lasts: random.duration(2_000, 6_000) },
    }
}

fn network_fault(random: &mut Random) -> Fault {
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

fn discord_fault(random: &mut Random) -> Fault {
    match random.between(0, 1) {
        0 => Fault::DiscordAway { lasts: random.duration(500, 6_000) },
        _ => Fault::HideHistory { which: random.draw(), lasts: random.duration(500, 6_000) },
    }
}
