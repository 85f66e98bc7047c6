//! `dce-chaos`: drives the whole service with random faults and checks what must hold whatever dies.
//!
//! `dce-chaos [SEEDS] [--seed N]... [--jobs N] [--keep-logs]`: the seeds from 1 to SEEDS (10), or those named; as many at
//! once as `--jobs` says (3). A seed decides everything but the machine's pace. Exit code 1 if anything does not hold;
//! the logs of such seeds are kept, or those of all.
//! `dce-chaos --soak MINUTES`: load without faults, after which nothing may have grown.

mod check;
mod client;
mod dce;
mod disk;
mod faults;
mod journal;
mod load;
mod place;
mod plan;
mod random;
mod report;
mod resume;
mod sampler;
mod seed;
mod settle;
mod soak;
mod world;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream};

use crate::journal::{Breach, Violation};
use crate::plan::Plan;
use crate::seed::Outcome;

/// How many, if nothing is said.
const SEEDS: u64 = 10;
const USAGE: &str = "dce-chaos [SEEDS] [--seed N]... [--jobs N] [--keep-logs] | dce-chaos --soak MINUTES";

/// What was asked for.
struct Arguments {
    seeds: Vec<u64>,
    jobs: usize,
    /// Logs are kept of all seeds, not only of those that failed.
    keeps_logs: bool,
    /// Load without faults instead, for so long.
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
            outcomes = play_all(&arguments, directory.path()) => Ok(outcomes),
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

async fn play_all(arguments: &Arguments, directory: &Path) -> Vec<Outcome> {
    println!("{}", report::head());
    stream::iter(arguments.seeds.clone())
        .map(|seed| async move {
            let outcome = play_one(seed, arguments.keeps_logs, directory).await;
            println!("{}", report::line(&outcome));
            outcome
        })
        .buffer_unordered(arguments.jobs)
        .collect()
        .await
}

/// Plays a seed in a directory of its own, of which only the logs stay. In a thread, so that a panic breaks this seed only.
async fn play_one(seed: u64, keeps_logs: bool, directory: &Path) -> Outcome {
    let plan = Plan::of(seed);
    let (theme, faults) = (plan.theme, plan.faults.len());
    let directory = directory.join(format!("seed-{seed}"));
    let played = tokio::task::spawn_blocking({
        let directory = directory.clone();
        move || {
            fs::create_dir(&directory)?;
            make_passable(&directory)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    outcome = seed::play(&plan, keeps_logs, &directory) => Ok(outcome),
                    _ = tokio::signal::ctrl_c() => bail!("interrupted"),
                }
            })
        }
    });
    let outcome = played.await.map_err(anyhow::Error::from).and_then(|outcome| outcome);
    for part in ["postgres", "work"] {
        let _ = fs::remove_dir_all(directory.join(part)); // large, or a mount that has gone
    }
    let _ = fs::remove_dir(&directory); // unless there are logs in it
    outcome.unwrap_or_else(|error| Outcome {
        seed,
        theme,
        faults,
        tally: seed::Tally::default(),
        longest_resume: None,
        violations: vec![Violation::new(Breach::Misbehaved, format!("the play broke: {error:#}"))],
        logs: None,
    })
}

/// As root, Postgres runs as another user, who must pass through.
fn make_passable(directory: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o711))
        .with_context(|| directory.display().to_string())
}
