//! How long small exports, their end, and requests take.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::exit;
use crate::measure::{BACKGROUND, FIRST_SINGLE, PACED, POSTS, TEN, TEN_THOUSAND, empty};
use crate::report::{Line, Unit, milliseconds};
use crate::spread::quantile;
use crate::stack::Stack;

/// Looks at exports whose end counts to the millisecond.
const CLOSE_LOOK: Duration = Duration::from_millis(3);

/// How long small exports take.
pub(crate) async fn exports(stack: &Stack<'_>, runs: u32) -> anyhow::Result<Vec<Line>> {
    let (mut ten, mut ten_thousand, mut endings) = (vec![], vec![], vec![]);
    for run in 1..=runs {
        eprintln!("latency: {run} of {runs}");
        empty(stack).await?;
        let seen = stack.export(TEN, CLOSE_LOOK).await?.seen;
        ten.push(milliseconds(seen.saturating_sub(time_of_standin(stack).await?)));
        ten_thousand.push(milliseconds(stack.export(TEN_THOUSAND, CLOSE_LOOK).await?.seen));
        endings.push(milliseconds(after_exit(stack).await?));
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

/// The last call of the stand-in once more, by hand.
async fn time_of_standin(stack: &Stack<'_>) -> anyhow::Result<Duration> {
    let call = stack.scenario.invocations().pop().context("the stand-in was not called")?;
    let mut arguments = call.argv;
    let output = arguments.iter().position(|argument| argument == "-o").context("a call without -o")? + 1;
    arguments[output] = stack.directory.join("by-hand.json").display().to_string();
    let start = Instant::now();
    let output = Command::from(stack.scenario.dce()).args(arguments).output().await?;
    let took = start.elapsed();
    ensure!(output.status.success(), "the stand-in: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

/// From DCE's exit until the export is completed, at a pace that the ingest can keep up with.
async fn after_exit(stack: &Stack<'_>) -> anyhow::Result<Duration> {
    let calls = stack.scenario.invocations().len();
    let start = Instant::now();
    let job_id = stack.submit(PACED).await?;
    let exit = exit::of_call_after(&stack.scenario, calls).await?;
    stack.completed(&job_id, start, exit::LOOK).await?;
    Ok(exit.elapsed())
}

/// How long requests take while an ingest goes on at full speed, and without one; their exports run beside it.
pub(crate) async fn requests(stack: &Stack<'_>) -> anyhow::Result<Vec<Line>> {
    eprintln!("{POSTS} requests without an ingest");
    let alone = timed(stack).await?;
    for job_id in &alone.jobs {
        stack.completed(job_id, Instant::now(), CLOSE_LOOK).await?;
    }
    eprintln!("{POSTS} requests during an ingest");
    let start = Instant::now();
    let background = stack.submit(BACKGROUND).await?;
    while stack.find(&background).await?["message_count"].as_i64().unwrap_or(0) == 0 {
        ensure!(start.elapsed() < Duration::from_secs(60), "the ingest does not begin");
        tokio::time::sleep(CLOSE_LOOK).await;
    }
    let beside = timed(stack).await?;
    let status = &stack.find(&background).await?["status"];
    ensure!(status == "running", "the ingest was over before the last request: it is {status}");
    // What is measured next shall not wait for these.
    for job_id in beside.jobs.iter().chain([&background]) {
        stack.completed(job_id, Instant::now(), CLOSE_LOOK).await?;
    }
    let line = |what: &str, requests: &Requests, percent, goal| {
        let took = quantile(&requests.took, percent).context("no requests")?;
        anyhow::Ok(Line::once(&format!("POST /exports {what}: p{percent}"), Unit::Milliseconds, took, goal))
    };
    Ok(vec![
        line("without an ingest", &alone, 50, "")?,
        line("without an ingest", &alone, 99, "")?,
        line("during an ingest at full speed", &beside, 50, "")?,
        line("during an ingest at full speed", &beside, 99, "≤ 50")?,
    ])
}

/// Requests one after the other.
struct Requests {
    jobs: Vec<String>,
    /// Milliseconds, the least first.
    took: Vec<f64>,
}

async fn timed(stack: &Stack<'_>) -> anyhow::Result<Requests> {
    let mut requests = Requests { jobs: Vec::new(), took: Vec::new() };
    for number in 0..POSTS {
        let start = Instant::now();
        requests.jobs.push(stack.submit(&(FIRST_SINGLE + number).to_string()).await?);
        requests.took.push(milliseconds(start.elapsed()));
    }
    requests.took.sort_by(f64::total_cmp);
    Ok(requests)
}
