//! The story of one seed: start, trouble, peace, judgement.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;

use crate::check;
use crate::client::Client;
use crate::faults;
use crate::journal::{Breach, Violation};
use crate::load;
use crate::plan::{Ask, Plan, Theme};
use crate::resume;
use crate::sampler::Sampler;
use crate::settle;
use crate::world::World;

/// Longer than anything that is waited for in it.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// What came of a seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) theme: Theme,
    pub(crate) faults: usize,
    pub(crate) tally: Tally,
    pub(crate) longest_resume: Option<Duration>,
    pub(crate) violations: Vec<Violation>,
    /// Where the logs are, if they are kept.
    pub(crate) logs: Option<PathBuf>,
}

/// How much was done.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
pub(crate) struct Tally {
    pub(crate) exports: i64,
    pub(crate) attempts: i64,
    pub(crate) messages: i64,
    /// COMMITs whose answer never came.
    #[sqlx(skip)]
    pub(crate) commits_lost: u32,
}

/// Plays a plan. What is wrong, also with the play itself, is in the outcome.
pub(crate) async fn play(plan: &Plan, keeps_logs: bool, directory: &Path) -> Outcome {
    let mut outcome = Outcome {
        seed: plan.seed,
        theme: plan.theme,
        faults: plan.faults.len(),
        tally: Tally::default(),
        longest_resume: None,
        violations: Vec::new(),
        logs: None,
    };
    let world = match World::start(directory, &plan.scenario, &plan.fleet).await {
        Ok(world) => world,
        Err(error) => {
            outcome.violations.push(Violation::new(Breach::Misbehaved, format!("no start: {error:#}")));
            return outcome;
        }
    };
    world.journal.note(format_args!("{:?}", plan.fleet));
    match timeout(LIMIT, story(plan, directory, &world, &mut outcome)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => world.journal.violated(Breach::Misbehaved, format!("the play broke: {error:#}")),
        Err(_) => world.journal.violated(Breach::Stuck, format!("not over after {LIMIT:?}")),
    }
    for log in logs(&world).await {
        check::panics(&world.journal, &log.1);
    }
    outcome.violations = world.journal.violations();
    if keeps_logs || !outcome.violations.is_empty() {
        outcome.logs = keep_logs(&world, directory).await.ok();
    }
    outcome
}

async fn story(plan: &Plan, directory: &Path, world: &World, outcome: &mut Outcome) -> anyhow::Result<()> {
    let client = Client::new(world)?;
    let sampler = Sampler::default();
    let trouble = async {
        let (faults, accepted) = tokio::join!(
            faults::perform_all(world, &plan.faults),
            load::play_all(world, &client, &plan.exports)
        );
        faults?;
        faults::make_honest(world).await?;
        world.journal.note("no more faults");
        let has_ended = settle::all_ended(world).await?;
        let until = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&world.pool).await?;
        if has_ended {
            settle::retry_until_completed(world, &client).await?;
        }
        anyhow::Ok((accepted, until))
    };
    let (accepted, until) = tokio::select! {
        done = trouble => done?,
        never = world.keep_filled() => never,
        never = sampler.look(world, plan.fleet.max_parallel_runs) => never,
    };
    let ids: Vec<String> = accepted.iter().map(|accepted| accepted.job_id.clone()).collect();
    let cancelled: Vec<String> =
        accepted.iter().filter(|one| *one.ask != Ask::Nothing).map(|one| one.job_id.clone()).collect();
    outcome.longest_resume = resume::longest(world, &sampler.samples(), until, &cancelled).await?;
    settle::stop_all(world).await;
    world.journal.note("stopped");
    check::processes_files_and_sessions(world).await?;
    check::tables_and_archive(world, &plan.scenario, &ids, directory).await?;
    outcome.tally = tally(world).await?;
    Ok(())
}

async fn tally(world: &World) -> sqlx::Result<Tally> {
    let tally: Tally = sqlx::query_as(
        "SELECT (SELECT count(*) FROM exports) AS exports, (SELECT count(*) FROM export_attempts) AS attempts,
                (SELECT count(*) FROM messages) AS messages",
    )
    .fetch_one(&world.pool)
    .await?;
    Ok(Tally { commits_lost: world.proxy.commits_lost(), ..tally })
}

/// What each process said, by a name for it.
async fn logs(world: &World) -> Vec<(String, Vec<String>)> {
    let mut logs = Vec::new();
    for (number, place) in world.places().enumerate() {
        for (life, lines) in place.lock().await.logs().into_iter().enumerate() {
            let name = if number == 0 { "api".to_owned() } else { format!("worker-{number}") };
            logs.push((format!("{name}-life-{}", life + 1), lines));
        }
    }
    logs
}

/// Writes what everybody said and what the tables hold beside the server's own log.
async fn keep_logs(world: &World, directory: &Path) -> anyhow::Result<PathBuf> {
    let kept = directory.join("logs");
    fs::create_dir_all(&kept).with_context(|| kept.display().to_string())?;
    for (name, lines) in logs(world).await {
        fs::write(kept.join(format!("{name}.log")), lines.join("\n"))?;
    }
    fs::write(kept.join("story.log"), world.journal.lines().join("\n"))?;
    fs::copy(directory.join("postgres/log"), kept.join("postgres.log"))?;
    fs::copy(world.scenario.dir().join("scenario.json"), kept.join("scenario.json"))?;
    let mut tables = String::new();
    for table in ["exports", "export_channels", "export_attempts", "workers", "channels", "apalis.jobs"] {
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t")))
                .fetch_all(&world.pool)
                .await
                .unwrap_or_default();
        writeln!(tables, "-- {table}\n{}\n", rows.join("\n"))?;
    }
    fs::write(kept.join("tables.jsonl"), tables)?;
    Ok(kept)
}
