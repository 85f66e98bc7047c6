//! Checks that nothing is left over when everything has stopped.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dce_processes;
use crate::event_log::{EventLog, ViolationKind};
use crate::system::{OWN_SESSIONS, SystemUnderTest};

/// Time in which Postgres notices the end of a client.
const LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// Number of files that a message lists.
const NAMED: usize = 5;

/// Checks processes of DCE, files and sessions after the end of all processes of the service.
pub(crate) async fn processes_files_and_sessions(system: &SystemUnderTest) -> anyhow::Result<()> {
    let left = dce_processes::find(system.scenario.dir());
    if !left.is_empty() {
        system.log.violation(ViolationKind::Leftover, format!("processes of DCE: {left:?}"));
    }
    let files = files(system.disk.path())?;
    if !files.is_empty() {
        let named: Vec<_> = files.iter().take(NAMED).map(|path| path.display().to_string()).collect();
        let what = format!("{} files or folders in WORK_DIR: {}", files.len(), named.join(", "));
        system.log.violation(ViolationKind::Leftover, what);
    }
    let start = Instant::now();
    loop {
        let sessions: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1",
        )
        .bind(OWN_SESSIONS)
        .fetch_one(&system.pool)
        .await?;
        if sessions == 0 {
            return Ok(());
        }
        if start.elapsed() > LIMIT {
            system.log.violation(ViolationKind::Leftover, format!("{sessions} sessions on the database"));
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// All files and folders below a directory, deepest first.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        }
        found.push(entry.path());
    }
    Ok(found)
}

/// Any panic is a bug, even if it was caught.
pub(crate) fn panics(log: &EventLog, lines: &[String]) {
    if let Some(line) = lines.iter().find(|line| line.contains("panicked at")) {
        log.violation(ViolationKind::Misbehaved, format!("a panic: {line}"));
    }
}
