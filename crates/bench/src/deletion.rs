//! The cost of a concurrent deletion for an ingest, and a check that exactly the right messages are deleted.

use std::process::Stdio;
use std::time::Duration;

use anyhow::ensure;
use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::process::binary;
use tokio::process::Command;

use crate::measured_service::MeasuredService;
use crate::report::{Line, Unit};

const RUNS: u32 = 5;
/// The channel that messages are deleted from.
const OLD: &str = "840000000000000001";
const OLD_MESSAGES: u64 = 300_000;
/// Channels of the same messages, ingested alone and during a deletion.
const ALONE: &str = "840000000000000002";
const DURING: &str = "840000000000000003";
const NEW_MESSAGES: u32 = 200_000;
/// An author in all channels of the stand-in.
const AUTHOR: &str = "800000000000000000";
const POLL: Duration = Duration::from_millis(20);

/// Adds the channels to the stand-in's.
pub(crate) fn scenario(scenario: Scenario) -> Scenario {
    let new = || Channel::generated(NEW_MESSAGES.into(), 21);
    scenario.channel(OLD, Channel::generated(OLD_MESSAGES, 20)).channel(ALONE, new()).channel(DURING, new())
}

pub(crate) async fn lines(service: &MeasuredService<'_>) -> anyhow::Result<Vec<Line>> {
    let (mut prunes, mut purges) = (vec![], vec![]);
    for run in 1..=RUNS {
        eprintln!("deletion during an ingest: {run} of {RUNS}");
        let old = format!("channel_id = '{OLD}'");
        prunes.push(slowed(service, &["prune", "--older-than", "0s", "--channel", OLD], &old).await?);
        let of_author = format!("author_id = '{AUTHOR}'");
        purges.push(slowed(service, &["purge", "--author", AUTHOR], &of_author).await?);
    }
    service.execute(&["DELETE FROM erasures"]).await?;
    service.clear_archive().await?;
    let line = |what: &str, values| {
        Line::new(format!("ingest during {what}: its time ÷ alone"), Unit::Ratio, values, "≤ 1.1")
    };
    Ok(vec![line("`dce-api prune --channel`", prunes)?, line("`dce-api purge --author`", purges)?])
}

/// The time of an ingest while a command deletes the messages that match `condition`, divided by its time alone.
async fn slowed(service: &MeasuredService<'_>, command: &[&str], condition: &str) -> anyhow::Result<f64> {
    service.execute(&["DELETE FROM erasures"]).await?;
    service.clear_archive().await?;
    service.export(OLD, POLL).await?;
    service.execute(&["CHECKPOINT"]).await?;
    let alone = service.export(ALONE, POLL).await?.attempt;
    service.execute(&["CHECKPOINT"]).await?;
    // The other channel adds as many.
    let expected = count(service, &format!("NOT ({condition})")).await?
        + count(service, &format!("NOT ({condition}) AND channel_id = '{ALONE}'")).await?;

    let (job_id, start) = service.submit_and_begin(DURING, POLL).await?;
    let mut deleting = Command::new(binary("dce-api"))
        .args(command)
        .arg("--yes")
        .env("DATABASE_URL", service.url())
        .env("DOTENV", "false")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let during = service.completed(&job_id, start, POLL).await?.attempt;
    ensure!(deleting.try_wait()?.is_none(), "{command:?} ended before the ingest");
    let exit = deleting.wait().await?;
    ensure!(exit.success(), "{command:?}: {exit}");
    let (left, others) =
        (count(service, condition).await?, count(service, &format!("NOT ({condition})")).await?);
    ensure!((left, others) == (0, expected), "{command:?} left {left} and {others} others of {expected}");
    Ok(during.as_secs_f64() / alone.as_secs_f64())
}

async fn count(service: &MeasuredService<'_>, condition: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM messages WHERE ({condition}) IS TRUE");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&service.pool).await?)
}
