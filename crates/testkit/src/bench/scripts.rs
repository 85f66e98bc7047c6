//! A Python with psycopg, to compare with what people write first.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::process::Command;

use crate::stack::Stack;

/// Where `scripts/bench.sh` says which Python has psycopg; without it there is none.
const PYTHON: &str = "BENCH_PYTHON";
const SCRIPT: &str = include_str!("scripts.py");

/// How the script writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Copy,
    Insert,
}

/// The script and who runs it.
pub(crate) struct Scripts {
    python: PathBuf,
    script: PathBuf,
}

impl Scripts {
    /// None if there is no Python for it. The script is written to `directory`.
    pub(crate) fn found(directory: &Path) -> anyhow::Result<Option<Self>> {
        let Some(python) = env::var_os(PYTHON).filter(|python| !python.is_empty()) else { return Ok(None) };
        let script = directory.join("scripts.py");
        std::fs::write(&script, SCRIPT)?;
        Ok(Some(Self { python: python.into(), script }))
    }

    /// The whole time of the script.
    pub(crate) async fn run(&self, stack: &Stack<'_>, way: Way, file: &Path) -> anyhow::Result<Duration> {
        let mut command = Command::new(&self.python);
        let way = match way {
            Way::Copy => "copy",
            Way::Insert => "insert",
        };
        command.arg(&self.script).arg(stack.url()).arg(way).arg(file).kill_on_drop(true);
        let start = Instant::now();
        let output = command.output().await?;
        let took = start.elapsed();
        ensure!(output.status.success(), "{way}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(took)
    }
}
