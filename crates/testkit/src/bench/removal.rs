//! What deleting beside it costs an ingest, and whether exactly what should go is gone.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use dce_testkit::process::binary;
use dce_testkit::scenario::{Channel, Scenario};
use tokio::process::Command;

use crate::measure::empty;
use crate::report::{Line, Unit};
use crate::stack::Stack;

const RUNS: u32 = 5;
/// Deleted from.
const OLD: &str = "840000000000000001";
const OLD_MESSAGES: u64 = 300_000;
/// Ingested, with nothing beside it and with something. The same messages.
const ALONE: &str = "840000000000000002";
const BESIDE: &str = "840000000000000003";
const NEW_MESSAGES: u32 = 200_000;
/// Writes in all channels of the stand-in.
const AUTHOR: &str = "800000000000000000";
const LOOK: Duration = Duration::from_millis(20);
/// An ingest begins within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// With what the stand-in needs for this.
pub(crate) fn scenario(scenario: Scenario) -> Scenario {
    let new = || Channel::generated(NEW_MESSAGES.into(), 21);
    scenario.channel(OLD, Channel::generated(OLD_MESSAGES, 20)).channel(ALONE, new()).channel(BESIDE, new())
}

pub(crate) async fn lines(stack: &Stack<'_>) -> anyhow::Result<Vec<Line>> {
    let (mut prunes, mut purges) = (vec![], vec![]);
    for run in 1..=RUNS {
        eprintln!("deleting beside an ingest: {run} of {RUNS}");
        let old = format!("channel_id = '{OLD}'");
        prunes.push(slowed(stack, &["prune", "--older-than", "0s", "--channel", OLD], &old).await?);
        let theirs = format!("author_id = '{AUTHOR}'");
        purges.push(slowed(stack, &["purge", "--author", AUTHOR], &theirs).await?);
    }
    stack.execute(&["DELETE FROM erasures"]).await?;
    empty(stack).await?;
    let line = |what: &str, values| {
        Line::new(format!("ingest beside {what}: its time ÷ alone"), Unit::Ratio, values, "≤ 1.1")
    };
    Ok(vec![line("`dce-api prune --channel`", prunes)?, line("`dce-api purge --author`", purges)?])
}

/// The time of an ingest while a command deletes `whose` messages, in times without it.
async fn slowed(stack: &Stack<'_>, command: &[&str], whose: &str) -> anyhow::Result<f64> {
    stack.execute(&["DELETE FROM erasures"]).await?;
    empty(stack).await?;
    stack.export(OLD, LOOK).await?;
    stack.execute(&["CHECKPOINT"]).await?;
    let alone = stack.export(ALONE, LOOK).await?.attempt;
    stack.execute(&["CHECKPOINT"]).await?;
    // As many would come with the other channel.
    let expected = count(stack, &format!("NOT ({whose})")).await?
        + count(stack, &format!("NOT ({whose}) AND channel_id = '{ALONE}'")).await?;

    let start = Instant::now();
    let job_id = stack.submit(BESIDE).await?;
    while stack.find(&job_id).await?["message_count"].as_i64().unwrap_or(0) == 0 {
        ensure!(start.elapsed() < PATIENCE, "the ingest does not begin");
        tokio::time::sleep(LOOK).await;
    }
    let mut deleting = Command::new(binary("dce-api"))
        .args(command)
        .arg("--yes")
        .env("DATABASE_URL", stack.url())
        .env("RENDER", "true") // no .env of whoever measures
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let beside = stack.completed(&job_id, start, LOOK).await?.attempt;
    ensure!(deleting.try_wait()?.is_none(), "{command:?} was over before the ingest");
    let exit = deleting.wait().await?;
    ensure!(exit.success(), "{command:?}: {exit}");
    let (left, others) = (count(stack, whose).await?, count(stack, &format!("NOT ({whose})")).await?);
    ensure!((left, others) == (0, expected), "{command:?} left {left} and {others} others of {expected}");
    Ok(beside.as_secs_f64() / alone.as_secs_f64())
}

async fn count(stack: &Stack<'_>, which: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM messages WHERE ({which}) IS TRUE");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&stack.pool).await?)
}
