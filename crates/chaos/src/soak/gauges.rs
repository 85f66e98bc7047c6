//! Metrics that could show a leak, measured from outside.

use std::fs;
use std::path::Path;

use dce_local::Program;
use nix::unistd::Pid;

use crate::dce_processes;
use crate::system::{OWN_SESSIONS, SystemUnderTest};

/// One metric of one process or of the whole system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gauge {
    pub(crate) subject: String,
    pub(crate) metric: Metric,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
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

impl Metric {
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

/// Reads all gauges.
pub(crate) async fn read(system: &SystemUnderTest) -> anyhow::Result<Vec<(Gauge, u64)>> {
    let mut values = Vec::new();
    for (number, process) in system.processes().enumerate() {
        let subject = match process.program() {
            Program::Api => "API".to_owned(),
            Program::Worker => format!("worker {number}"),
        };
        let Some(pid) = process.pid().await else { continue };
        let mut add = |metric, value: Option<u64>| {
            values.extend(value.map(|value| (Gauge { subject: subject.clone(), metric }, value)));
        };
        add(Metric::MemoryKib, status(pid, "VmRSS:"));
        add(Metric::Threads, status(pid, "Threads:"));
        add(Metric::Descriptors, fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|all| all.count() as u64));
    }
    let sessions: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1",
    )
    .bind(OWN_SESSIONS)
    .fetch_one(&system.pool)
    .await?;
    let mut add = |metric, value: u64| values.push((Gauge { subject: "all".into(), metric }, value));
    add(Metric::Sessions, sessions.unsigned_abs());
    add(Metric::Children, dce_processes::find(system.scenario.dir()).len() as u64);
    add(Metric::Files, files(system.disk.path()));
    Ok(values)
}

/// Reads a number from `/proc/PID/status`.
fn status(pid: Pid, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Counts files and folders, which come and go meanwhile.
fn files(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| 1 + if entry.path().is_dir() { files(&entry.path()) } else { 0 }).sum()
}
