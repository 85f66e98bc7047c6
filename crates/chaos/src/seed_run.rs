//! Runs one seed: start, faults and load, wind-down, checks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;

use crate::check;
use crate::client::Client;
use crate::discord;
use crate::event_log::{Violation, ViolationKind};
use crate::faults;
use crate::load;
use crate::plan::{FollowUp, SeedPlan, Theme};
use crate::resume;
use crate::sampler::Sampler;
use crate::system::SystemUnderTest;
use crate::wind_down;

/// Longer than all waits of a seed together.
const LIMIT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug)]
pub(crate) struct SeedOutcome {
    pub(crate) seed: u64,
    pub(crate) theme: Theme,
    pub(crate) faults: usize,
    pub(crate) tally: Tally,
    pub(crate) longest_resume: Option<Duration>,
    pub(crate) violations: Vec<Violation>,
    /// The folder of the logs, if they are kept.
    pub(crate) logs: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
pub(crate) struct Tally {
    pub(crate) exports: i64,
    pub(crate) attempts: i64,
    pub(crate) messages: i64,
    /// COMMITs that were lost or whose answer was.
    #[sqlx(skip)]
    pub(crate) commits_lost: u32,
}

/// Runs a plan. Violations, and errors of the run itself, are in the outcome.
pub(crate) async fn run(plan: &SeedPlan, keeps_logs: bool, directory: &Path) -> SeedOutcome {
    let mut outcome = SeedOutcome {
        seed: plan.seed,
        theme: plan.theme,
        faults: plan.faults.len(),
        tally: Tally::default(),
        longest_resume: None,
        violations: Vec::new(),
        logs: None,
    };
    let system = match SystemUnderTest::start(directory, &plan.scenario, &plan.deployment).await {
        Ok(system) => system,
        Err(error) => {
            outcome
                .violations
                .push(Violation::new(ViolationKind::Misbehaved, format!("the start failed: {error:#}")));
            return outcome;
        }
    };
    system.log.note(format_args!("{:?}", plan.deployment));
    if let Some(unreliable) = &plan.discord {
        discord::make_unreliable(&system.discord, unreliable);
    }
    match timeout(LIMIT, run_phases(plan, &system, &mut outcome)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            system.log.violation(ViolationKind::Misbehaved, format!("the run failed: {error:#}"));
        }
        Err(_) => system.log.violation(ViolationKind::Stuck, format!("not finished after {LIMIT:?}")),
    }
    for log in logs(&system).await {
        check::panics(&system.log, &log.1);
    }
    outcome.violations = system.log.violations();
    if keeps_logs || !outcome.violations.is_empty() {
        outcome.logs = keep_logs(&system, directory).await.ok();
    }
    outcome
}

async fn run_phases(
    plan: &SeedPlan,
    system: &SystemUnderTest,
    outcome: &mut SeedOutcome,
) -> anyhow::Result<()> {
    let client = Client::new(system)?;
    let sampler = Sampler::default();
    let phases = async {
        let (faults, accepted) = tokio::join!(
            faults::inject_all(system, &plan.faults),
            load::run_all(system, &client, &plan.exports)
        );
        faults?;
        faults::end_all(system).await?;
        system.log.note("no more faults");
        let has_ended = wind_down::all_ended(system).await?;
        let until = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&system.pool).await?;
        if has_ended {
            wind_down::retry_until_completed(system, &client).await?;
        }
        anyhow::Ok((accepted, until))
    };
    let (accepted, until) = tokio::select! {
        done = phases => done?,
        never = system.restart_ended() => never,
        never = sampler.run(system, plan.deployment.max_parallel_runs) => never,
    };
    let ids: Vec<String> = accepted.iter().map(|accepted| accepted.job_id.clone()).collect();
    let cancelled: Vec<String> = accepted
        .iter()
        .filter(|one| *one.follow_up != FollowUp::Nothing)
        .map(|one| one.job_id.clone())
        .collect();
    outcome.longest_resume = resume::longest(system, &sampler.samples(), until, &cancelled).await?;
    wind_down::stop_all(system).await?;
    system.log.note("stopped");
    check::processes_files_and_sessions(system).await?;
    check::tables_and_archive(system, &ids).await?;
    outcome.tally = tally(system).await?;
    Ok(())
}

async fn tally(system: &SystemUnderTest) -> sqlx::Result<Tally> {
    let tally: Tally = sqlx::query_as(
        "SELECT (SELECT count(*) FROM exports) AS exports, (SELECT count(*) FROM export_attempts) AS attempts,
                (SELECT count(*) FROM messages) AS messages",
    )
    .fetch_one(&system.pool)
    .await?;
    Ok(Tally { commits_lost: system.proxy.commits_lost(), ..tally })
}

/// The log of each instance of each process, with a name.
async fn logs(system: &SystemUnderTest) -> Vec<(String, Vec<String>)> {
    let mut logs = Vec::new();
    for (number, process) in system.processes().enumerate() {
        for (instance, lines) in process.lock().await.logs().into_iter().enumerate() {
            let name = if number == 0 { "api".to_owned() } else { format!("worker-{number}") };
            logs.push((format!("{name}-{}", instance + 1), lines));
        }
    }
    logs
}

/// Writes the logs and the tables to files, and copies the server's log.
async fn keep_logs(system: &SystemUnderTest, directory: &Path) -> anyhow::Result<PathBuf> {
    let kept = directory.join("logs");
    fs::create_dir_all(&kept).with_context(|| kept.display().to_string())?;
    for (name, lines) in logs(system).await {
        fs::write(kept.join(format!("{name}.log")), lines.join("\n"))?;
    }
    fs::write(kept.join("events.log"), system.log.lines().join("\n"))?;
    fs::copy(directory.join("postgres/log"), kept.join("postgres.log"))?;
    fs::copy(system.scenario.dir().join("scenario.json"), kept.join("scenario.json"))?;
    let mut tables = String::new();
    for table in ["exports", "export_channels", "export_attempts", "workers", "channels", "apalis.jobs"] {
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t")))
                .fetch_all(&system.pool)
                .await
                .unwrap_or_default();
        writeln!(tables, "-- {table}\n{}\n", rows.join("\n"))?;
    }
    fs::write(kept.join("tables.jsonl"), tables)?;
    Ok(kept)
}
