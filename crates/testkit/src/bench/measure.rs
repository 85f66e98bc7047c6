//! The measurements, one after the other.

use dce_testkit::scenario::{Channel, Scenario};

use crate::report::Line;
use crate::stack::Stack;
use crate::throughput::Subject;
use crate::{fleet, latency, listing, reading, throughput};

/// Channels of the scenario.
pub(crate) const TEN: &str = "810000000000000001";
pub(crate) const TEN_THOUSAND: &str = "810000000000000002";
pub(crate) const PACED: &str = "810000000000000003";
const TENS_OF_THOUSANDS: Subject =
    Subject { channel: TEN_THOUSAND, messages: 10_000, name: "10,000 messages" };
const HUNDRED_THOUSAND: Subject =
    Subject { channel: "810000000000000004", messages: 100_000, name: "100,000 messages" };
const MILLION: Subject =
    Subject { channel: "810000000000000005", messages: 1_000_000, name: "1,000,000 messages" };
pub(crate) const BACKGROUND: &str = "810000000000000006";
/// Four at DCE's pace, four at full speed.
pub(crate) const FLEET: [&str; 4] =
    ["811000000000000001", "811000000000000002", "811000000000000003", "811000000000000004"];
pub(crate) const FAST_FLEET: [&str; 4] =
    ["812000000000000001", "812000000000000002", "812000000000000003", "812000000000000004"];
/// The first of the channels with one message.
pub(crate) const FIRST_SINGLE: u64 = 820_000_000_000_000_001;
/// Requests whose latency is taken.
pub(crate) const POSTS: u64 = 200;
/// Messages per second of the real DCE (2.47, its JSON to a local disk).
const PACE_OF_DCE: u32 = 6_000;
/// Messages in each channel of the fleet: at DCE's pace they take some seconds.
pub(crate) const FLEET_MESSAGES: u32 = 24_000;
/// A million messages take minutes each time.
const MILLION_RUNS: u32 = 3;

/// How much is measured.
pub(crate) struct Plan {
    /// What to type for it.
    pub(crate) command: &'static str,
    /// Of each measurement.
    runs: u32,
    /// Of what takes half a minute each time.
    long_runs: u32,
    has_million: bool,
    /// Messages of the ingest that goes on while requests are measured.
    background: u32,
}

impl Plan {
    pub(crate) const fn quick() -> Self {
        Self {
            command: "scripts/bench.sh --quick",
            runs: 3,
            long_runs: 1,
            has_million: false,
            background: 300_000,
        }
    }

    pub(crate) const fn full() -> Self {
        Self { command: "scripts/bench.sh", runs: 5, long_runs: 5, has_million: true, background: 600_000 }
    }

    /// How often it measures.
    pub(crate) fn describe(&self) -> String {
        let million = if self.has_million {
            format!(", {MILLION_RUNS} with 1,000,000 messages")
        } else {
            String::new()
        };
        format!("{} runs of each line{million}; lines without minimum and maximum: one", self.runs)
    }

    /// What the stand-in has.
    pub(crate) fn scenario(&self) -> Scenario {
        let channels = Scenario::new()
            .channel(TEN, Channel::generated(10, 1))
            .channel(TEN_THOUSAND, Channel::generated(10_000, 2))
            .channel(PACED, Channel::generated(10_000, 3).rate(PACE_OF_DCE))
            .channel(HUNDRED_THOUSAND.channel, Channel::generated(100_000, 4))
            .channel(MILLION.channel, Channel::generated(1_000_000, 5))
            .channel(BACKGROUND, Channel::generated(self.background.into(), 6));
        let fleet = |scenario: Scenario, channels: [&str; 4], rate| {
            channels.into_iter().zip(10..).fold(scenario, |scenario, (channel, seed)| {
                scenario.channel(channel, Channel::generated(FLEET_MESSAGES.into(), seed).rate(rate))
            })
        };
        let channels = fleet(fleet(channels, FLEET, PACE_OF_DCE), FAST_FLEET, 0);
        (0..POSTS).fold(channels, |scenario, number| {
            scenario.channel((FIRST_SINGLE + number).to_string(), Channel::generated(1, number))
        })
    }
}

/// All of them.
pub(crate) async fn all(stack: &mut Stack<'_>, plan: &Plan) -> anyhow::Result<Vec<Line>> {
    let mut lines = throughput::lines(stack, plan.runs, HUNDRED_THOUSAND).await?;
    lines.extend(reading::lines(stack, plan.runs, HUNDRED_THOUSAND).await?);
    if plan.has_million {
        stack.replace_worker().await;
        lines.extend(throughput::lines(stack, MILLION_RUNS, MILLION).await?);
        lines.extend(reading::lines(stack, MILLION_RUNS, MILLION).await?);
    }
    lines.push(throughput::updates(stack, plan.runs, HUNDRED_THOUSAND).await?);
    lines.extend(throughput::scripts(stack, plan.runs, TENS_OF_THOUSANDS).await?);
    empty(stack).await?;
    lines.extend(latency::exports(stack, plan.runs).await?);
    empty(stack).await?;
    lines.extend(latency::requests(stack).await?);
    lines.extend(fleet::lines(stack, plan.runs, plan.long_runs).await?);
    lines.extend(listing::lines(stack).await?);
    Ok(lines)
}

/// An archive without messages, and no checkpoint due in the next measurement that was not its own doing.
pub(crate) async fn empty(stack: &Stack<'_>) -> anyhow::Result<()> {
    stack.execute(&["TRUNCATE messages, channels", "CHECKPOINT"]).await
}
