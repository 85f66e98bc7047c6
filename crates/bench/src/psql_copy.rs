//! The baseline of the ingest: `psql \copy` of prepared rows.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::spawn_blocking;

use crate::measured_service::{DATABASE, MeasuredService};

/// Prepared rows in a file, and an empty table like `messages` for them.
pub(crate) struct PsqlCopy {
    file: PathBuf,
}

impl PsqlCopy {
    /// Writes the rows of `messages` to the file. The table has the same columns, checks, indexes and compression.
    pub(crate) async fn prepare(service: &MeasuredService<'_>) -> anyhow::Result<Self> {
        service
            .execute(&[
                "DROP TABLE IF EXISTS baseline",
                "CREATE TABLE baseline (LIKE messages INCLUDING ALL)",
            ])
            .await?;
        let this = Self { file: service.directory.join("rows.copy") };
        psql(service, format!("\\copy messages TO '{}'", this.file.display())).await?;
        Ok(this)
    }

    /// Copies the rows into the empty table; returns the whole time of `psql`.
    pub(crate) async fn copy(&self, service: &MeasuredService<'_>) -> anyhow::Result<Duration> {
        service.execute(&["TRUNCATE baseline", "CHECKPOINT"]).await?;
        psql(service, format!("\\copy baseline FROM '{}'", self.file.display())).await
    }
}

/// Runs a command of `psql`; returns the time from its start to its end.
pub(crate) async fn psql(service: &MeasuredService<'_>, command: String) -> anyhow::Result<Duration> {
    let mut psql = service.postgres.psql(DATABASE);
    psql.args(["--quiet", "--command", &command]);
    let start = Instant::now();
    let output = spawn_blocking(move || psql.output()).await??;
    let took = start.elapsed();
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}
