//! The latency of small exports, of their end, and of requests.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::channels::{BACKGROUND, FIRST_SINGLE, PACED, POSTS, TEN, TEN_THOUSAND};
use crate::dce_exit;
use crate::measured_service::MeasuredService;
use crate::report::{Line, Unit, milliseconds};
use crate::spread::quantile;

/// For exports whose end is measured to the millisecond.
const FINE_POLL: Duration = Duration::from_millis(3);

pub(crate) async fn exports(service: &MeasuredService<'_>, runs: u32) -> anyhow::Result<Vec<Line>> {
    let (mut ten, mut ten_thousand, mut endings) = (vec![], vec![], vec![]);
    for run in 1..=runs {
        eprintln!("latency: {run} of {runs}");
        service.clear_archive().await?;
        let seen = service.export(TEN, FINE_POLL).await?.seen;
        ten.push(milliseconds(seen.saturating_sub(time_of_standin(service).await?)));
        ten_thousand.push(milliseconds(service.export(TEN_THOUSAND, FINE_POLL).await?.seen));
        endings.push(milliseconds(after_exit(service).await?));
    }
    Ok(vec![
        Line::new("10,000 messages: POST to completed", Unit::Milliseconds, ten_thousand, "≤ 1,000")?,
        Line::new(
            "10 messages: POST to completed, without DCE's own time",
            Unit::Milliseconds,
            ten,
            "≤ 150",
        )?,
        Line::new(
            "10,000 messages at DCE's pace: its exit to completed",
            Unit::Milliseconds,
            endings,
            "≤ 100",
        )?,
    ])
}

/// Repeats the last call of the stand-in directly; returns its time.
async fn time_of_standin(service: &MeasuredService<'_>) -> anyhow::Result<Duration> {
    let call = service.scenario.invocations().pop().context("the stand-in was not called")?;
    let mut arguments = call.argv;
    let output = arguments.iter().position(|argument| argument == "-o").context("a call without -o")? + 1;
    arguments[output] = service.directory.join("direct.json").display().to_string();
    let start = Instant::now();
    let output = Command::from(service.scenario.dce()).args(arguments).output().await?;
    let took = start.elapsed();
    ensure!(output.status.success(), "the stand-in: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

/// The time from DCE's exit until the export is completed, at a rate that the ingest can keep up with.
async fn after_exit(service: &MeasuredService<'_>) -> anyhow::Result<Duration> {
    let calls = service.scenario.invocations().len();
    let start = Instant::now();
    let job_id = service.submit(PACED).await?;
    let exit = dce_exit::wait_after(&service.scenario, calls).await?;
    service.completed(&job_id, start, dce_exit::POLL).await?;
    Ok(exit.elapsed())
}

/// The latency of requests without an ingest and during one at full speed; their exports run meanwhile.
pub(crate) async fn requests(service: &MeasuredService<'_>) -> anyhow::Result<Vec<Line>> {
    eprintln!("{POSTS} requests without an ingest");
    let alone = timed(service).await?;
    for job_id in &alone.jobs {
        service.completed(job_id, Instant::now(), FINE_POLL).await?;
    }
    eprintln!("{POSTS} requests during an ingest");
    let (background, _) = service.submit_and_begin(BACKGROUND, FINE_POLL).await?;
    let during = timed(service).await?;
    let status = &service.find(&background).await?["status"];
    ensure!(status == "running", "the ingest ended before the last request: it is {status}");
    // The next measurement must not wait for these.
    for job_id in during.jobs.iter().chain([&background]) {
        service.completed(job_id, Instant::now(), FINE_POLL).await?;
    }
    let line = |what: &str, requests: &Requests, percent, goal| {
        let took = quantile(&requests.took, percent).context("no requests")?;
        anyhow::Ok(Line::once(&format!("POST /exports {what}: p{percent}"), Unit::Milliseconds, took, goal))
    };
    Ok(vec![
        line("without an ingest", &alone, 50, "")?,
        line("without an ingest", &alone, 99, "")?,
        line("during an ingest at full speed", &during, 50, "")?,
        line("during an ingest at full speed", &during, 99, "≤ 50")?,
    ])
}

/// Sequential requests.
struct Requests {
    jobs: Vec<String>,
    /// Milliseconds, in ascending order.
    took: Vec<f64>,
}

async fn timed(service: &MeasuredService<'_>) -> anyhow::Result<Requests> {
    let mut requests = Requests { jobs: Vec::new(), took: Vec::new() };
    for number in 0..POSTS {
        let start = Instant::now();
        requests.jobs.push(service.submit(&(FIRST_SINGLE + number).to_string()).await?);
        requests.took.push(milliseconds(start.elapsed()));
    }
    requests.took.sort_by(f64::total_cmp);
    Ok(requests)
}
