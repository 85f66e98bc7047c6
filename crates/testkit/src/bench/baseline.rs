//! What the ingest is compared with: `psql \copy` of rows that are already prepared.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::spawn_blocking;

use crate::stack::{DATABASE, Stack};

/// Rows in a file, and a table like `messages` for them.
pub(crate) struct Baseline {
    file: PathBuf,
}

impl Baseline {
    /// Takes the rows that `messages` holds now. The table has the same columns, checks, indexes and compression.
    pub(crate) async fn prepare(stack: &Stack<'_>) -> anyhow::Result<Self> {
        stack
            .execute(&[
                "DROP TABLE IF EXISTS baseline",
                "CREATE TABLE baseline (LIKE messages INCLUDING ALL)",
            ])
            .await?;
        let this = Self { file: stack.directory.join("rows.copy") };
        psql(stack, format!("\\copy messages TO '{}'", this.file.display())).await?;
        Ok(this)
    }

    /// Copies them into the empty table: the whole time of `psql`.
    pub(crate) async fn copy(&self, stack: &Stack<'_>) -> anyhow::Result<Duration> {
        stack.execute(&["TRUNCATE baseline", "CHECKPOINT"]).await?;
        psql(stack, format!("\\copy baseline FROM '{}'", self.file.display())).await
    }
}

/// A command of `psql`, from its start to its end.
pub(crate) async fn psql(stack: &Stack<'_>, command: String) -> anyhow::Result<Duration> {
    let mut psql = stack.postgres.psql(DATABASE);
    psql.args(["--quiet", "--command", &command]);
    let start = Instant::now();
    let output = spawn_blocking(move || psql.output()).await??;
    let took = start.elapsed();
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}
