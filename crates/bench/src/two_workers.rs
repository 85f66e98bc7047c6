//! Two workers: the speedup by the second one, and the time until it resumes the first one's run.

use std::time::{Duration, Instant};

use crate::channels::{FAST_CHANNELS, FIRST_SINGLE, PACED_CHANNELS, PACED_MESSAGES, SINGLES};
use crate::dce_exit;
use crate::measured_service::MeasuredService;
use crate::report::{Line, Unit, milliseconds};
use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;

/// Longer than the lease of a run.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// One worker and two, side by side; then runs whose worker is killed, and runs that are cancelled.
pub(crate) async fn lines(
    service: &mut MeasuredService<'_>,
    runs: u32,
    long_runs: u32,
) -> anyhow::Result<Vec<Line>> {
    let (mut paced, mut fast, mut cancels) = (vec![], vec![], vec![]);
    let (mut singles, mut takeovers) = (vec![], vec![]);
    for run in 1..=runs {
        eprintln!("two workers: {run} of {runs}");
        paced.push(speedup(service, &PACED_CHANNELS).await?);
        fast.push(speedup(service, &FAST_CHANNELS).await?);
        service.clear_archive().await?;
        cancels.push(milliseconds(cancel(service, PACED_CHANNELS[0]).await?));
    }
    for run in 1..=long_runs {
        eprintln!("500 exports, a killed worker: {run} of {long_runs}");
        service.clear_archive().await?;
        singles.push(milliseconds(single_messages(service).await?));
        service.clear_archive().await?;
        takeovers.push(milliseconds(takeover(service, PACED_CHANNELS[0], PACED_MESSAGES).await?));
    }
    Ok(vec![
        Line::new(
            "four exports at DCE's pace: time of one worker ÷ time of two",
            Unit::Ratio,
            paced,
            "≥ 1.8",
        )?,
        Line::new("four exports at full speed: time of one worker ÷ time of two", Unit::Ratio, fast, "")?,
        Line::new(
            "500 exports of one message each, two workers, each end confirmed by Discord",
            Unit::Milliseconds,
            singles,
            "≤ 60,000",
        )?,
        Line::new("cancel of a running export: DCE gone", Unit::Milliseconds, cancels, "≤ 1,000")?,
        Line::new(
            "`kill -9` of a worker: its run started again elsewhere",
            Unit::Milliseconds,
            takeovers,
            "≤ 25,000",
        )?,
    ])
}

/// The time of one worker divided by the time of two.
async fn speedup(service: &mut MeasuredService<'_>, channels: &[&str]) -> anyhow::Result<f64> {
    service.clear_archive().await?;
    let one = exports(service, channels).await?;
    service.clear_archive().await?;
    service.start_second_worker().await?;
    let two = exports(service, channels).await?;
    service.stop_second_worker().await?;
    Ok(one.as_secs_f64() / two.as_secs_f64())
}

/// Exports all channels; returns the time from the first request to the last end.
async fn exports(service: &MeasuredService<'_>, channels: &[&str]) -> anyhow::Result<Duration> {
    let start = Instant::now();
    try_join_all(channels.iter().map(|channel| service.export(channel, POLL))).await?;
    Ok(start.elapsed())
}

/// Exports every channel of one message with two workers; returns the time from the first request to the last end.
async fn single_messages(service: &mut MeasuredService<'_>) -> anyhow::Result<Duration> {
    service.start_second_worker().await?;
    let start = Instant::now();
    let mut exports = Vec::new();
    for number in 0..SINGLES {
        exports.push(service.submit(&(FIRST_SINGLE + number).to_string()).await?);
    }
    loop {
        let (ended, verified): (i64, i64) = sqlx::query_as(
            "SELECT count(finished_at), count(verified_at) FROM exports WHERE job_id = ANY ($1::text[]::uuid[])",
        )
        .bind(&exports)
        .fetch_one(&service.pool)
        .await?;
        if ended.unsigned_abs() == SINGLES {
            ensure!(verified == ended, "{verified} of {ended} ends are verified");
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    let took = start.elapsed();
    service.stop_second_worker().await?;
    Ok(took)
}

/// The time from `kill -9` of the only busy worker to the start of the next attempt on the other one, which completes.
async fn takeover(
    service: &mut MeasuredService<'_>,
    channel: &str,
    messages: u32,
) -> anyhow::Result<Duration> {
    let (job_id, start) = service.submit_and_begin(channel, POLL).await?;
    service.start_second_worker().await?;
    service.kill_worker()?;
    let killed = Instant::now();
    let resumed = loop {
        if service.find(&job_id).await?["runs"][0]["attempt"] == 2 {
            break killed.elapsed();
        }
        ensure!(killed.elapsed() < TAKEOVER_LIMIT, "no worker resumes the run");
        tokio::time::sleep(POLL).await;
    };
    service.ended(&job_id, start, POLL).await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&service.pool).await?;
    ensure!(rows == i64::from(messages), "{rows} of {messages} messages are archived");
    service.stop_second_worker().await?;
    service.replace_worker().await?;
    Ok(resumed)
}

/// The time from the request to cancel a running export until its DCE has ended.
async fn cancel(service: &MeasuredService<'_>, channel: &str) -> anyhow::Result<Duration> {
    let calls = service.scenario.invocations().len();
    let (job_id, _) = service.submit_and_begin(channel, POLL).await?;
    service.scenario.invocations().get(calls).context("DCE was not started")?;
    let asked = Instant::now();
    let (gone, ()) =
        tokio::try_join!(dce_exit::wait_after(&service.scenario, calls), service.cancel(&job_id))?;
    Ok(gone.duration_since(asked))
}
