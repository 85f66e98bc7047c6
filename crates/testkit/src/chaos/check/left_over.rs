//! What is left when everything has been stopped: nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dce;
use crate::journal::{Breach, Journal};
use crate::world::{OURSELVES, World};

/// Postgres notices the end of a client within this.
const LIMIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);
/// Files that a message names.
const NAMED: usize = 5;

/// After the end of all processes of the service.
pub(crate) async fn processes_files_and_sessions(world: &World) -> anyhow::Result<()> {
    let left = dce::processes(world.scenario.dir());
    if !left.is_empty() {
        world.journal.violated(Breach::LeftOver, format!("processes of DCE: {left:?}"));
    }
    let files = files(world.disk.path())?;
    if !files.is_empty() {
        let named: Vec<_> = files.iter().take(NAMED).map(|path| path.display().to_string()).collect();
        let what = format!("{} files or folders in WORK_DIR: {}", files.len(), named.join(", "));
        world.journal.violated(Breach::LeftOver, what);
    }
    let start = Instant::now();
    loop {
        let sessions: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1",
        )
        .bind(OURSELVES)
        .fetch_one(&world.pool)
        .await?;
        if sessions == 0 {
            return Ok(());
        }
        if start.elapsed() > LIMIT {
            world.journal.violated(Breach::LeftOver, format!("{sessions} sessions on the database"));
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Everything below a directory, deepest first.
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

/// A panic is a bug, also where somebody caught it.
pub(crate) fn panics(journal: &Journal, log: &[String]) {
    if let Some(line) = log.iter().find(|line| line.contains("panicked at")) {
        journal.violated(Breach::Misbehaved, format!("a panic: {line}"));
    }
}
