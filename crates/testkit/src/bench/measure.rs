//! The measurements.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dce_testkit::scenario::{Channel, Scenario};

use crate::baseline::Baseline;
use crate::exit;
use crate::report::{Line, Unit};
use crate::spread::{Spread, quantile};
use crate::stack::Stack;

/// Channels of the scenario.
const TEN: &str = "810000000000000001";
const TEN_THOUSAND: &str = "810000000000000002";
const PACED: &str = "810000000000000003";
const HUNDRED_THOUSAND: &str = "810000000000000004";
const MILLION: &str = "810000000000000005";
const BACKGROUND: &str = "810000000000000006";
/// The first of the channels with one message.
const FIRST_SINGLE: u64 = 820_000_000_000_000_001;
/// Requests whose latency is taken.
const POSTS: u64 = 200;
/// Messages per second of the real DCE (2.47, its JSON to a local disk).
const PACE_OF_DCE: u32 = 6_000;
/// Looks at exports whose end counts to the millisecond, and at others.
const CLOSE_LOOK: Duration = Duration::from_millis(3);
const LOOSE_LOOK: Duration = Duration::from_millis(50);

/// How much is measured.
pub(crate) struct Plan {
    /// What to type for it.
    pub(crate) command: &'static str,
    /// Of each measurement.
    runs: u32,
    has_million: bool,
    /// Messages of the ingest that goes on while requests are measured.
    background: u32,
}

impl Plan {
    pub(crate) const fn quick() -> Self {
        Self { command: "scripts/bench.sh --quick", runs: 3, has_million: false, background: 300_000 }
    }

    pub(crate) const fn full() -> Self {
        Self { command: "scripts/bench.sh", runs: 5, has_million: true, background: 600_000 }
    }

    /// How often it measures.
    pub(crate) fn describe(&self) -> String {
        let million = if self.has_million {
            format!(", {} with 1,000,000 messages", self.million_runs())
        } else {
            String::new()
        };
        format!("{} runs of each line{million}", self.runs)
    }

    /// They take minutes each.
    fn million_runs(&self) -> u32 {
        self.runs.min(3)
    }

    /// What the stand-in has.
    pub(crate) fn scenario(&self) -> Scenario {
        let channels = Scenario::new()
            .channel(TEN, Channel::generated(10, 1))
            .channel(TEN_THOUSAND, Channel::generated(10_000, 2))
            .channel(PACED, Channel::generated(10_000, 3).rate(PACE_OF_DCE))
            .channel(HUNDRED_THOUSAND, Channel::generated(100_000, 4))
            .channel(MILLION, Channel::generated(1_000_000, 5))
            .channel(BACKGROUND, Channel::generated(self.background.into(), 6));
        (0..POSTS).fold(channels, |scenario, number| {
            scenario.channel((FIRST_SINGLE + number).to_string(), Channel::generated(1, number))
        })
    }
}

/// All of them, one after the other.
pub(crate) async fn all(stack: &mut Stack<'_>, plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let mut lines = throughput(stack, plan.runs, HUNDRED_THOUSAND, 100_000, "100,000 messages").await?;
    let peak = f64::from(stack.worker_peak()?) / 1024.0;
    lines.push(Line::once("worker's peak memory, 100,000 messages", Unit::Megabytes, peak, "≤ 64"));
    if plan.has_million {
        stack.replace_worker().await;
        lines.extend(throughput(stack, plan.million_runs(), MILLION, 1_000_000, "1,000,000 messages").await?);
        let peak = f64::from(stack.worker_peak()?) / 1024.0;
        lines.push(Line::once("worker's peak memory, 1,000,000 messages", Unit::Megabytes, peak, "≤ 64"));
    }
    empty(stack).await?;
    lines.extend(latency(stack, plan.runs).await?);
    empty(stack).await?;
    lines.extend(requests(stack).await?);
    Ok(lines)
}

/// Ingest, `psql \copy` of the same rows and the export of what is already there, in turns.
async fn throughput(
    stack: &Stack<'_>,
    runs: u32,
    channel: &str,
    messages: u32,
    size: &str,
) -> anyhow::Result<Vec<Line>> {
    let per_second = |took: Duration| f64::from(messages) / took.as_secs_f64();
    let (mut ingests, mut copies, mut ratios, mut repeats) = (vec![], vec![], vec![], vec![]);
    let mut baseline = None;
    for run in 1..=runs {
        eprintln!("{size}: {run} of {runs}");
        empty(stack).await?;
        let ingest = stack.export(channel, LOOSE_LOOK).await?;
        ensure!(ingest.inserted == i64::from(messages), "{} of {messages} arrived", ingest.inserted);
        stack.execute(&["CHECKPOINT"]).await?;
        let repeat = stack.export(channel, LOOSE_LOOK).await?;
        ensure!(repeat.inserted == 0, "{} arrived twice", repeat.inserted);
        let baseline = match &baseline {
            Some(baseline) => baseline,
            None => baseline.insert(Baseline::prepare(stack).await?),
        };
        let copy = baseline.copy(stack).await?;
        ingests.push(per_second(ingest.attempt));
        copies.push(per_second(copy));
        ratios.push(ingest.attempt.as_secs_f64() / copy.as_secs_f64());
        repeats.push(per_second(repeat.attempt));
    }
    stack.execute(&["DROP TABLE baseline"]).await?;
    Ok(vec![
        Line::new(format!("{size}: ingest, claim to completed"), Unit::PerSecond, ingests, "")?,
        Line::new(format!("{size}: `psql \\copy` of the same rows, prepared"), Unit::PerSecond, copies, "")?,
        Line::new(
            format!("{size}: time of ingest ÷ time of `psql \\copy`"),
            Unit::Ratio,
            ratios,
            "≤ 0.6, then ≤ 0.5",
        )?,
        Line::new(format!("{size}: again, nothing new"), Unit::PerSecond, repeats, "≥ 200,000")?,
    ])
}

/// How long small exports take.
async fn latency(stack: &Stack<'_>, runs: u32) -> anyhow::Result<Vec<Line>> {
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
        Line::new("10 messages: POST to completed, without DCE's own time", Unit::Milliseconds, ten, "")?,
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
    let output = tokio::process::Command::new(stack.scenario.dce_bin())
        .args(arguments)
        .envs([("DISCORD_TOKEN", "any"), ("TZ", "UTC"), ("FUCK_RUSSIA", "1")])
        .output()
        .await?;
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

/// How long requests take while an ingest goes on at full speed; their exports run beside it.
async fn requests(stack: &Stack<'_>) -> anyhow::Result<Vec<Line>> {
    eprintln!("{POSTS} requests during an ingest");
    let start = Instant::now();
    let background = stack.submit(BACKGROUND).await?;
    while stack.find(&background).await?["message_count"].as_i64().unwrap_or(0) == 0 {
        ensure!(start.elapsed() < Duration::from_secs(60), "the ingest does not begin");
        tokio::time::sleep(CLOSE_LOOK).await;
    }
    let mut took = Vec::new();
    for number in 0..POSTS {
        let start = Instant::now();
        stack.submit(&(FIRST_SINGLE + number).to_string()).await?;
        took.push(milliseconds(start.elapsed()));
    }
    let status = &stack.find(&background).await?["status"];
    ensure!(status == "running", "the ingest was over before the last request: it is {status}");
    took.sort_by(f64::total_cmp);
    let of = |percent| quantile(&took, percent).context("no requests");
    Ok(vec![
        Line::once("POST /exports during an ingest at full speed: p50", Unit::Milliseconds, of(50)?, ""),
        Line::once("POST /exports during an ingest at full speed: p99", Unit::Milliseconds, of(99)?, "≤ 50"),
    ])
}

/// An archive without messages, and no checkpoint due in the next measurement that was not its own doing.
async fn empty(stack: &Stack<'_>) -> anyhow::Result<()> {
    stack.execute(&["TRUNCATE messages, channels", "CHECKPOINT"]).await
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl Line {
    fn new(
        what: impl Into<String>,
        unit: Unit,
        values: Vec<f64>,
        goal: &'static str,
    ) -> anyhow::Result<Self> {
        let spread = Spread::of(values).context("nothing was measured")?;
        Ok(Self { what: what.into(), unit, spread, is_single: false, goal })
    }

    fn once(what: &str, unit: Unit, value: f64, goal: &'static str) -> Self {
        let spread = Spread { min: value, median: value, max: value };
        Self { what: what.into(), unit, spread, is_single: true, goal }
    }
}
