//! Soak test: mixed load on two workers for a long time without injected faults; nothing may grow.

mod gauges;
mod growth;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::Executor as _;
use tokio::time::sleep;

use crate::check;
use crate::client::Client;
use crate::plan::Deployment;
use crate::random::Random;
use crate::system::SystemUnderTest;
use crate::wind_down;
use gauges::{Gauge, Metric};

/// Time for caches and pools to fill.
const WARM_UP: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_secs(3);
/// Number of clients, each with one export at a time.
const CLIENTS: u64 = 4;
/// How often the archive is emptied, so that there is always something new to write.
const EMPTIED_EVERY: Duration = Duration::from_secs(30);
const CHANNELS: u64 = 12;
const FIRST_CHANNEL: u64 = 720_000_000_000_000_001;
/// Scripted attempts at each channel; more than an hour needs.
const SCRIPTED: u64 = 2_000;

const DEPLOYMENT: Deployment = Deployment {
    workers: 2,
    slots: 2,
    stall_timeout: Duration::from_secs(10),
    export_timeout: None,
    shutdown_grace: Duration::from_secs(13),
    max_parallel_runs: None,
};

/// Runs for this long after the warm-up and prints the gauges; returns whether everything held.
pub(crate) async fn run(lasts: Duration, directory: &Path) -> anyhow::Result<bool> {
    let mut random = Random::new(1);
    let system = SystemUnderTest::start(directory, &scenario(&mut random), &DEPLOYMENT).await?;
    let client = Client::new(&system)?;
    let until = Instant::now() + WARM_UP + lasts;
    let load = join_all((0..CLIENTS).map(|number| run_client(&client, Random::new(number), until)));
    let mut values: BTreeMap<Gauge, Vec<u64>> = BTreeMap::new();
    let measured = async {
        sleep(WARM_UP).await;
        while Instant::now() < until {
            for (gauge, value) in gauges::read(&system).await? {
                values.entry(gauge).or_default().push(value);
            }
            sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        (measured, exports) = async { tokio::join!(measured, load) } => {
            measured?;
            println!("{} exports", exports.iter().sum::<u64>());
        }
        never = system.restart_ended() => never,
        never = empty_archive(&system) => never,
    }
    wind_down::all_ended(&system).await?;
    wind_down::stop_all(&system).await?;
    check::processes_files_and_sessions(&system).await?;
    Ok(report(&system, &values))
}

/// Channels of all sizes and rates; some attempts lose their connection to Discord.
fn scenario(random: &mut Random) -> Scenario {
    (0..CHANNELS).fold(Scenario::new(), |scenario, number| {
        let messages = 200 << (number % 8);
        let rate = *random.pick(&[0, 1_000, 4_000]);
        let channel = Channel::generated(messages, random.draw()).rate(rate);
        let channel = (0..SCRIPTED).fold(channel, |channel, _| {
            channel.attempt(match random.between(0, 9) {
                0 => Attempt::ends_after(random.between(1, messages), Ending::Dropped),
                1 => Attempt::ends_after(random.between(1, messages), Ending::CutInside),
                _ => Attempt::ends(Ending::Complete),
            })
        });
        scenario.channel((FIRST_CHANNEL + number).to_string(), channel)
    })
}

/// One client: one export after the other, some of them cancelled. Returns their number.
async fn run_client(client: &Client<'_>, mut random: Random, until: Instant) -> u64 {
    let mut exports = 0;
    while Instant::now() < until {
        let first = FIRST_CHANNEL + random.between(0, CHANNELS - 1);
        let last = (first + random.between(0, 3)).min(FIRST_CHANNEL + CHANNELS - 1);
        let channels: Vec<String> = (first..=last).map(|id| id.to_string()).collect();
        let Some(job_id) = client.export(&json!({ "channel_ids": channels })).await else { continue };
        exports += 1;
        if random.percent(20) {
            sleep(random.duration(0, 2_000)).await;
            client.control(&job_id, "cancel").await;
        }
        while client.find(&job_id).await.is_some_and(|export| export["finished_at"].is_null()) {
            sleep(random.duration(100, 500)).await;
        }
    }
    exports
}

async fn empty_archive(system: &SystemUnderTest) -> ! {
    loop {
        sleep(EMPTIED_EVERY).await;
        // Blocks everybody for a moment, or is not done at all.
        let _ = system.pool.execute("SET lock_timeout = '2s'; TRUNCATE messages, channels").await;
    }
}

fn report(system: &SystemUnderTest, values: &BTreeMap<Gauge, Vec<u64>>) -> bool {
    let mut holds = true;
    println!("{:<10} {:<18} {:>12} {:>12} {:>12}", "", "", "first third", "last third", "maximum");
    for (Gauge { subject, metric }, growth) in growth::evaluate(values) {
        let verdict = if growth.leaks { "GROWS" } else { "" };
        let (name, growth::Growth { first, last, max, .. }) = (Metric::name(*metric), &growth);
        println!("{subject:<10} {name:<18} {first:>12} {last:>12} {max:>12}  {verdict}");
        holds &= !growth.leaks;
    }
    for violation in system.log.violations() {
        println!("{violation}");
        holds = false;
    }
    println!("{}", if holds { "nothing grew, nothing is left" } else { "FAILED" });
    holds
}
