//! `dce-chaos`: drives the whole service with random faults and checks that nothing is lost, altered, duplicated or stuck.
//!
//! `dce-chaos [SEEDS] [--seed N]... [--jobs N] [--keep-logs]`: runs the seeds from 1 to SEEDS (10) or the named ones, `--jobs`
//! (3) at once. A seed decides everything but the timing of the machine. Exit code 1 if a check fails; the logs of such
//! seeds are kept, with `--keep-logs` those of all.
//! `dce-chaos --soak MINUTES`: load without faults, during which nothing may grow.

mod check;
mod client;
mod dce_processes;
mod discord;
mod disk;
mod event_log;
mod faults;
mod load;
mod plan;
mod random;
mod report;
mod resume;
mod sampler;
mod seed_run;
mod soak;
mod supervisor;
mod system;
mod wind_down;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};

use crate::event_log::{Violation, ViolationKind};
use crate::plan::SeedPlan;
use crate::seed_run::SeedOutcome;

/// Default number of seeds.
const SEEDS: u64 = 10;
const USAGE: &str = "dce-chaos [SEEDS] [--seed N]... [--jobs N] [--keep-logs] | dce-chaos --soak MINUTES";

struct Arguments {
    seeds: Vec<u64>,
    jobs: usize,
    /// Keeps the logs of all seeds, not only of failed ones.
    keeps_logs: bool,
    /// Duration of a soak test, which replaces the seeds.
    soak: Option<Duration>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = arguments(std::env::args().skip(1))?;
    let directory =
        tempfile::Builder::new().prefix("dce-chaos-").tempdir().context("no temporary directory")?;
    make_passable(directory.path())?;
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(lasts) = arguments.soak {
        let holds = runtime.block_on(async {
            tokio::select! {
                holds = soak::run(lasts, directory.path()) => holds,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            }
        })?;
        return Ok(exit_code(holds));
    }
    let outcomes = runtime.block_on(async {
        tokio::select! {
            outcomes = run_all(&arguments, directory.path()) => Ok(outcomes),
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })?;
    drop(runtime);
    println!("\n{}", report::summary(&outcomes));
    if outcomes.iter().any(|outcome| outcome.logs.is_some()) {
        println!("logs: {}", directory.keep().display());
    }
    Ok(exit_code(outcomes.iter().all(|outcome| outcome.violations.is_empty())))
}

fn exit_code(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn arguments(given: impl Iterator<Item = String>) -> anyhow::Result<Arguments> {
    let mut given = given.peekable();
    let mut arguments = Arguments { seeds: Vec::new(), jobs: 3, keeps_logs: false, soak: None };
    while let Some(argument) = given.next() {
        let mut number = || -> anyhow::Result<u64> {
            let value = given.next().with_context(|| format!("{argument} needs a number: {USAGE}"))?;
            value.parse().with_context(|| format!("{argument} {value}: {USAGE}"))
        };
        match argument.as_str() {
            "--seed" => arguments.seeds.push(number()?),
            "--jobs" => arguments.jobs = usize::try_from(number()?)?.max(1),
            "--soak" => arguments.soak = Some(Duration::from_secs(number()? * 60)),
            "--keep-logs" => arguments.keeps_logs = true,
            _ => {
                let last: u64 = argument.parse().with_context(|| format!("{argument}: {USAGE}"))?;
                arguments.seeds.extend(1..=last);
            }
        }
    }
    if arguments.seeds.is_empty() {
        arguments.seeds.extend(1..=SEEDS);
    }
    Ok(arguments)
}

async fn run_all(arguments: &Arguments, directory: &Path) -> Vec<SeedOutcome> {
    println!("{}", report::head());
    stream::iter(arguments.seeds.clone())
        .map(|seed| async move {
            let outcome = run_one(seed, arguments.keeps_logs, directory).await;
            println!("{}", report::line(&outcome));
            outcome
        })
        .buffer_unordered(arguments.jobs)
        .collect()
        .await
}

/// Runs a seed in a directory of its own, of which only the logs stay, and in a thread of its own, so that a panic ends only
/// this seed.
async fn run_one(seed: u64, keeps_logs: bool, directory: &Path) -> SeedOutcome {
    let plan = SeedPlan::new(seed);
    let (theme, faults) = (plan.theme, plan.faults.len());
    let directory = directory.join(format!("seed-{seed}"));
    let outcome = tokio::task::spawn_blocking({
        let directory = directory.clone();
        move || {
            fs::create_dir(&directory)?;
            make_passable(&directory)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    outcome = seed_run::run(&plan, keeps_logs, &directory) => Ok(outcome),
                    _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                }
            })
        }
    });
    let outcome = outcome.await.map_err(anyhow::Error::from).and_then(|outcome| outcome);
    for part in ["postgres", "work"] {
        let _ = fs::remove_dir_all(directory.join(part)); // large, or a former mount
    }
    let _ = fs::remove_dir(&directory); // fails if it has logs
    outcome.unwrap_or_else(|error| SeedOutcome {
        seed,
        theme,
        faults,
        tally: seed_run::Tally::default(),
        longest_resume: None,
        violations: vec![Violation::new(ViolationKind::Misbehaved, format!("the run failed: {error:#}"))],
        logs: None,
    })
}

/// Lets other users enter: for root, Postgres runs as another user.
fn make_passable(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o711))
        .with_context(|| directory.display().to_string())
}
