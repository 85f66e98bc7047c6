//! What could leak, measured from outside.

use std::fs;
use std::path::Path;

use nix::unistd::Pid;

use crate::dce;
use crate::place::Role;
use crate::world::{OURSELVES, World};

/// One thing that could leak.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gauge {
    /// Of which process, or of the whole.
    pub(crate) of: String,
    pub(crate) what: What,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// Resident memory.
    MemoryKib,
    Descriptors,
    Threads,
    /// Sessions on the database.
    Sessions,
    /// Processes of DCE.
    Children,
    /// Files and folders in `WORK_DIR`.
    Files,
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MemoryKib => "memory (KiB)",
            Self::Descriptors => "open descriptors",
            Self::Threads => "threads",
            Self::Sessions => "database sessions",
            Self::Children => "processes of DCE",
            Self::Files => "files in WORK_DIR",
        }
    }
}

/// All gauges at one moment.
pub(crate) async fn read(world: &World) -> anyhow::Result<Vec<(Gauge, u64)>> {
    let mut values = Vec::new();
    for (number, place) in world.places().enumerate() {
        let of = match place.role {
            Role::Api => "API".to_owned(),
            Role::Worker => format!("worker {number}"),
        };
        let Some(pid) = place.pid().await else { continue };
        let mut add = |what, value: Option<u64>| {
            values.extend(value.map(|value| (Gauge { of: of.clone(), what }, value)));
        };
        add(What::MemoryKib, status(pid, "VmRSS:"));
        add(What::Threads, status(pid, "Threads:"));
        add(What::Descriptors, fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|all| all.count() as u64));
    }
    let sessions: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1",
    )
    .bind(OURSELVES)
    .fetch_one(&world.pool)
    .await?;
    let mut add = |what, value: u64| values.push((Gauge { of: "all".into(), what }, value));
    add(What::Sessions, sessions.unsigned_abs());
    add(What::Children, dce::processes(world.scenario.dir()).len() as u64);
    add(What::Files, files(world.disk.path()));
    Ok(values)
}

/// A number of `/proc/PID/status`.
fn status(pid: Pid, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// How many there are; they come and go meanwhile.
fn files(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| 1 + if entry.path().is_dir() { files(&entry.path()) } else { 0 }).sum()
}
