//! `dce-bench`: measures the whole service on this machine, side by side with `psql \copy`, and says what it is
//! measured by. It asserts nothing but that everything arrived.
//!
//! `dce-bench [--quick | --growth] FILE` prints the result and writes it to FILE as Markdown. It starts everything it needs, with
//! programs of the same build, and leaves nothing behind but FILE.

mod baseline;
mod exit;
mod fleet;
mod growth;
mod import;
mod latency;
mod listing;
mod machine;
mod measure;
mod reading;
mod removal;
mod report;
mod scripts;
mod spread;
mod stack;
mod throughput;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dce_local::PrivatePostgres;

use measure::Plan;
use report::Report;
use stack::Stack;

/// Anybody may pass through: as root, Postgres runs as another user.
const PASSABLE: u32 = 0o711;

/// What is asked for.
enum What {
    Speed(Plan),
    Growth,
}

fn main() -> anyhow::Result<()> {
    let (what, file) = arguments()?;
    // Made first, so that it goes last, when nobody writes in it any more.
    let directory = tempfile::Builder::new()
        .prefix("dce-bench-")
        .permissions(Permissions::from_mode(PASSABLE))
        .tempdir()
        .context("no temporary directory")?;
    // Durable, with the server's own settings: numbers of a server that may lose data say nothing.
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

fn arguments() -> anyhow::Result<(What, PathBuf)> {
    let (mut what, mut file) = (What::Speed(Plan::full()), None);
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--quick") => what = What::Speed(Plan::quick()),
            Some("--growth") => what = What::Growth,
            Some(option) if option.starts_with('-') => {
                bail!("unknown option {option}: dce-bench [--quick | --growth] FILE")
            }
            _ => file = Some(PathBuf::from(argument)),
        }
    }
    Ok((what, file.context("where to? dce-bench [--quick | --growth] FILE")?))
}

async fn run(postgres: &PrivatePostgres, directory: &Path, what: &What) -> anyhow::Result<Report> {
    let scenario = match what {
        What::Speed(plan) => plan.scenario(),
        What::Growth => removal::scenario(growth::scenario()),
    };
    let mut stack = Stack::start(postgres, directory, &scenario).await?;
    let machine = machine::describe(&stack.pool).await?;
    let report = match what {
        What::Speed(plan) => Report {
            title: "Benchmarks",
            notes: include_str!("notes.md"),
            machine,
            command: plan.command,
            runs: plan.describe(),
            lines: measure::all(&mut stack, plan).await?,
        },
        What::Growth => Report {
            title: "Growth",
            notes: growth::NOTES,
            machine,
            command: "scripts/bench.sh --growth",
            runs: "lines without minimum and maximum: once".into(),
            lines: {
                let mut lines = removal::lines(&stack).await?;
                lines.extend(growth::lines(&stack).await?);
                lines
            },
        },
    };
    stack.stop_worker().await;
    Ok(report)
}
