//! `dce-bench`: measures the whole service on this machine, side by side with `psql \copy`. It checks only that every
//! message is archived; no goal fails it.
//!
//! `dce-bench [--quick | --growth] FILE` prints the result and writes it to FILE as Markdown. It starts everything it needs from
//! programs of the same build, and leaves nothing behind but FILE.

mod channels;
mod dce_exit;
mod deletion;
mod growth;
mod import;
mod latency;
mod listing;
mod machine;
mod measure;
mod measured_service;
mod plan;
mod psql_copy;
mod python_script;
mod reading;
mod report;
mod spread;
mod throughput;
mod two_workers;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dce_local::PrivatePostgres;

use measured_service::MeasuredService;
use plan::BenchPlan;
use report::Report;

/// Other users may enter: for root, Postgres runs as another user.
const PASSABLE: u32 = 0o711;

enum Measurement {
    Speed(BenchPlan),
    Growth,
}

fn main() -> anyhow::Result<()> {
    let (what, file) = arguments()?;
    // Created first, so that it is deleted last, when nothing writes to it any more.
    let directory = tempfile::Builder::new()
        .prefix("dce-bench-")
        .permissions(Permissions::from_mode(PASSABLE))
        .tempdir()
        .context("no temporary directory")?;
    // Durable, with the server's own settings: figures of a server that may lose data mean nothing.
    let postgres = PrivatePostgres::persistent(&directory.path().join("postgres"), None)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run(&postgres, directory.path(), &what) => report,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })?;
    print!("\n{}", report.summary());
    std::fs::write(&file, report.page()).with_context(|| file.display().to_string())?;
    println!("\nWritten to {}.", file.display());
    Ok(())
}

fn arguments() -> anyhow::Result<(Measurement, PathBuf)> {
    let (mut what, mut file) = (Measurement::Speed(BenchPlan::full()), None);
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--quick") => what = Measurement::Speed(BenchPlan::quick()),
            Some("--growth") => what = Measurement::Growth,
            Some(option) if option.starts_with('-') => {
                bail!("unknown option {option}: dce-bench [--quick | --growth] FILE")
            }
            _ => file = Some(PathBuf::from(argument)),
        }
    }
    Ok((what, file.context("FILE is missing: dce-bench [--quick | --growth] FILE")?))
}

async fn run(postgres: &PrivatePostgres, directory: &Path, what: &Measurement) -> anyhow::Result<Report> {
    let scenario = match what {
        Measurement::Speed(plan) => plan.scenario(),
        Measurement::Growth => deletion::scenario(growth::scenario()),
    };
    let mut service = MeasuredService::start(postgres, directory, &scenario).await?;
    let machine = machine::describe(&service.pool).await?;
    let report = match what {
        Measurement::Speed(plan) => Report {
            title: "Benchmarks",
            notes: include_str!("benchmarks_notes.md"),
            machine,
            command: plan.command,
            runs: plan.describe(),
            lines: measure::all(&mut service, plan).await?,
        },
        Measurement::Growth => Report {
            title: "Growth",
            notes: growth::NOTES,
            machine,
            command: "scripts/bench.sh --growth",
            runs: "lines without minimum and maximum: once".into(),
            lines: {
                let mut lines = deletion::lines(&service).await?;
                lines.extend(growth::lines(&service).await?);
                lines
            },
        },
    };
    service.stop_worker().await?;
    Ok(report)
}
