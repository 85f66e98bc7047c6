//! Several workers: what a second one brings, and how long it takes to go on with what the first one leaves.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use nix::sys::signal::Signal;

use crate::exit;
use crate::measure::{FAST_FLEET, FLEET, FLEET_MESSAGES, empty};
use crate::report::{Line, Unit, milliseconds};
use crate::stack::Stack;

/// More than the lease of a run.
const TAKEN_OVER: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// One worker and two, side by side; what becomes of runs whose worker dies, or that are cancelled.
pub(crate) async fn lines(stack: &mut Stack<'_>, runs: u32, long_runs: u32) -> anyhow::Result<Vec<Line>> {
    let (mut paced, mut fast, mut cancels, mut takeovers) = (vec![], vec![], vec![], vec![]);
    for run in 1..=runs {
        eprintln!("two workers: {run} of {runs}");
        paced.push(gain(stack, &FLEET).await?);
        fast.push(gain(stack, &FAST_FLEET).await?);
        empty(stack).await?;
        cancels.push(milliseconds(cancel(stack, FLEET[0]).await?));
    }
    for run in 1..=long_runs {
        eprintln!("a killed worker: {run} of {long_runs}");
        empty(stack).await?;
        takeovers.push(milliseconds(takeover(stack, FLEET[0], FLEET_MESSAGES).await?));
    }
    Ok(vec![
        Line::new(
            "four exports at DCE's pace: time of one worker ÷ time of two",
            Unit::Ratio,
            paced,
            "≥ 1.8",
        )?,
        Line::new("four exports at full speed: the same", Unit::Ratio, fast, "")?,
        Line::new("cancel of a running export: DCE gone", Unit::Milliseconds, cancels, "≤ 1,000")?,
        Line::new(
            "`kill -9` of a worker: its run started again elsewhere",
            Unit::Milliseconds,
            takeovers,
            "≤ 25,000",
        )?,
    ])
}

/// What a second worker brings.
async fn gain(stack: &mut Stack<'_>, channels: &[&str]) -> anyhow::Result<f64> {
    empty(stack).await?;
    let one = exports(stack, channels).await?;
    empty(stack).await?;
    stack.second_worker().await;
    let two = exports(stack, channels).await?;
    stack.end_second_worker().await;
    Ok(one.as_secs_f64() / two.as_secs_f64())
}

/// From the first request to the last export's end.
async fn exports(stack: &Stack<'_>, channels: &[&str]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    try_join_all(channels.iter().map(|channel| stack.export(channel, LOOK))).await?;
    Ok(start.elapsed())
}

/// From `kill -9` of the only worker that is busy to the start of the next attempt on the other one, which completes.
async fn takeover(stack: &mut Stack<'_>, channel: &str, messages: u32) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let job_id = stack.submit(channel).await?;
    while stack.find(&job_id).await?["message_count"].as_i64().unwrap_or(0) == 0 {
        ensure!(start.elapsed() < TAKEN_OVER, "the export does not begin");
        tokio::time::sleep(LOOK).await;
    }
    stack.second_worker().await;
    stack.signal_worker(Signal::SIGKILL);
    let killed = Instant::now();
    let resumed = loop {
        if stack.find(&job_id).await?["runs"][0]["attempt"] == 2 {
            break killed.elapsed();
        }
        ensure!(killed.elapsed() < TAKEN_OVER, "nobody goes on with it");
        tokio::time::sleep(LOOK).await;
    };
    stack.ended(&job_id, start, LOOK).await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&stack.pool).await?;
    ensure!(rows == i64::from(messages), "{rows} of {messages} arrived");
    stack.end_second_worker().await;
    stack.replace_worker().await;
    Ok(resumed)
}

/// From the request to cancel a running export until its DCE is gone.
async fn cancel(stack: &Stack<'_>, channel: &str) -> anyhow::Result<Duration> {
    let calls = stack.scenario.invocations().len();
    let start = Instant::now();
    let job_id = stack.submit(channel).await?;
    while stack.find(&job_id).await?["message_count"].as_i64().unwrap_or(0) == 0 {
        ensure!(start.elapsed() < TAKEN_OVER, "the export does not begin");
        tokio::time::sleep(LOOK).await;
    }
    stack.scenario.invocations().get(calls).context("DCE was not started")?;
    let asked = Instant::now();
    let (gone, ()) = tokio::try_join!(exit::of_call_after(&stack.scenario, calls), stack.cancel(&job_id))?;
    Ok(gone.duration_since(asked))
}
