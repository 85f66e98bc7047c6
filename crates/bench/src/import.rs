//! Time and memory of `dce-worker import`.

use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dce_testkit::process::binary;
use tokio::process::Command;
use tokio::time::interval;

use crate::machine::first_value;
use crate::measured_service::MeasuredService;

/// How often the memory is read. The kernel keeps its peak, so only the last moment can be missed.
const POLL: Duration = Duration::from_millis(20);
/// One in this many messages is edited.
const EDITED: usize = 100;

/// One run of the command.
pub(crate) struct Imported {
    pub(crate) took: Duration,
    pub(crate) peak_kib: u32,
    pub(crate) counts: Counts,
}

/// The export's row.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Counts {
    pub(crate) status: String,
    pub(crate) message_count: i64,
    pub(crate) inserted_count: i64,
    pub(crate) updated_count: i64,
}

impl Counts {
    pub(crate) fn completed(messages: u32, inserted: u32, updated: u32) -> Self {
        let [message_count, inserted_count, updated_count] = [messages, inserted, updated].map(i64::from);
        Self { status: "completed".into(), message_count, inserted_count, updated_count }
    }
}

/// Imports the file with additional arguments.
pub(crate) async fn import(
    service: &MeasuredService<'_>,
    file: &Path,
    arguments: &[&str],
) -> anyhow::Result<Imported> {
    let mut command = Command::new(binary("dce-worker"));
    command
        .arg("import")
        .args(arguments)
        .arg(file)
        .env("DATABASE_URL", service.url())
        .env("DOTENV", "false")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true);
    let start = Instant::now();
    let mut process = command.spawn()?;
    let status = format!("/proc/{}/status", process.id().context("no process")?);
    let (mut peak_kib, mut polls) = (0, interval(POLL));
    let exit = loop {
        tokio::select! {
            exit = process.wait() => break exit?,
            _ = polls.tick() => {
                let peak = first_value(&status, "VmHWM").and_then(|peak| peak.trim_end_matches(" kB").parse().ok());
                peak_kib = peak_kib.max(peak.unwrap_or(0));
            }
        }
    };
    let took = start.elapsed();
    ensure!(exit.success(), "import: {exit}");
    let counts = sqlx::query_as(
        "SELECT status, message_count, inserted_count, updated_count FROM exports ORDER BY created_at DESC LIMIT 1",
    )
    .fetch_one(&service.pool)
    .await?;
    Ok(Imported { took, peak_kib, counts })
}

/// Copies a file as DCE would write it a year later, with every hundredth message edited; returns the number of edits.
pub(crate) fn edited(file: &Path, copy: &Path) -> anyhow::Result<u32> {
    let mut lines = BufWriter::new(fs::File::create(copy)?);
    let (mut messages, mut edited) = (0, 0);
    for line in BufReader::new(fs::File::open(file)?).lines() {
        let mut line = line?;
        if line.starts_with("  \"exportedAt\": ") {
            line = "  \"exportedAt\": \"2099-01-01T00:00:00+00:00\",".into();
        } else if line.starts_with("      \"content\": ") {
            if messages % EDITED == 0 {
                line = line.replacen("\"content\": \"", "\"content\": \"edited: ", 1);
                edited += 1;
            }
            messages += 1;
        }
        writeln!(lines, "{line}")?;
    }
    lines.flush()?;
    Ok(edited)
}

/// Writes the stand-in's document of this channel.
pub(crate) async fn document(service: &MeasuredService<'_>, channel: &str) -> anyhow::Result<PathBuf> {
    let file = service.directory.join(format!("{channel}.json"));
    let output = Command::from(service.scenario.export(channel, &file)).output().await?;
    ensure!(output.status.success(), "the stand-in: {}", String::from_utf8_lossy(&output.stderr));
    Ok(file)
}
