//! A simple Python script with psycopg, for comparison.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::process::Command;

use crate::measured_service::MeasuredService;

/// The variable in which `scripts/bench.sh` names a Python with psycopg.
const PYTHON: &str = "BENCH_PYTHON";
const SCRIPT: &str = include_str!("python_script.py");

/// How the script writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WriteMethod {
    Copy,
    Insert,
}

pub(crate) struct PythonScript {
    python: PathBuf,
    script: PathBuf,
}

impl PythonScript {
    /// Writes the script to `directory`. None without a Python for it.
    pub(crate) fn prepare(directory: &Path) -> anyhow::Result<Option<Self>> {
        let Some(python) = env::var_os(PYTHON).filter(|python| !python.is_empty()) else { return Ok(None) };
        let script = directory.join("python_script.py");
        std::fs::write(&script, SCRIPT)?;
        Ok(Some(Self { python: python.into(), script }))
    }

    /// Runs the script; returns its whole time.
    pub(crate) async fn run(
        &self,
        service: &MeasuredService<'_>,
        method: WriteMethod,
        file: &Path,
    ) -> anyhow::Result<Duration> {
        let mut command = Command::new(&self.python);
        let method = match method {
            WriteMethod::Copy => "copy",
            WriteMethod::Insert => "insert",
        };
        command.arg(&self.script).arg(service.url()).arg(method).arg(file).kill_on_drop(true);
        let start = Instant::now();
        let output = command.output().await?;
        let took = start.elapsed();
        ensure!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(took)
    }
}
