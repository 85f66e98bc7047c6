//! A long time of mixed load on two workers without a fault of ours: nothing may grow.

mod gauges;
mod growth;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dce_testkit::scenario::{Attempt, Channel, Ending, Scenario};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::Executor as _;
use tokio::time::sleep;

use crate::check;
use crate::client::Client;
use crate::plan::Fleet;
use crate::random::Random;
use crate::settle;
use crate::world::World;
use gauges::{Gauge, What};

/// Caches and pools fill in this time.
const WARM_UP: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(3);
/// Exports that go on at once.
const CLIENTS: u64 = 4;
/// The archive is emptied so often, or there would soon be nothing new to write.
const EMPTIED_EVERY: Duration = Duration::from_secs(30);
const CHANNELS: u64 = 12;
const FIRST_CHANNEL: u64 = 720_000_000_000_000_001;
/// Attempts at each channel about which the scenario says something; more than an hour has.
const SCRIPTED: u64 = 2_000;

const FLEET: Fleet = Fleet {
    workers: 2,
    slots: 2,
    stall_timeout: Duration::from_secs(10),
    export_timeout: None,
    shutdown_grace: Duration::from_secs(13),
    max_parallel_runs: None,
};

/// Runs for so long after the warm-up, prints what was measured, and says whether all of it held.
pub(crate) async fn run(lasts: Duration, directory: &Path) -> anyhow::Result<bool> {
    let mut random = Random::of(1);
    let world = World::start(directory, &scenario(&mut random), &FLEET).await?;
    let client = Client::new(&world)?;
    let until = Instant::now() + WARM_UP + lasts;
    let load = join_all((0..CLIENTS).map(|number| play(&client, Random::of(number), until)));
    let mut values: BTreeMap<Gauge, Vec<u64>> = BTreeMap::new();
    let measured = async {
        sleep(WARM_UP).await;
        while Instant::now() < until {
            for (gauge, value) in gauges::read(&world).await? {
                values.entry(gauge).or_default().push(value);
            }
            sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    tokio::select! {
        (measured, exports) = async { tokio::join!(measured, load) } => {
            measured?;
            println!("{} exports", exports.iter().sum::<u64>());
        }
        never = world.keep_filled() => never,
        never = empty_archive(&world) => never,
    }
    settle::all_ended(&world).await?;
    settle::stop_all(&world).await;
    check::processes_files_and_sessions(&world).await?;
    Ok(report(&world, &values))
}

/// Channels of all sizes and paces, and a connection that Discord drops now and then.
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

/// One client: an export after the other, some of them cancelled. How many there were.
async fn play(client: &Client<'_>, mut random: Random, until: Instant) -> u64 {
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

async fn empty_archive(world: &World) -> ! {
    loop {
        sleep(EMPTIED_EVERY).await;
        // In the way of everybody for a moment, or not at all.
        let _ = world.pool.execute("SET lock_timeout = '2s'; TRUNCATE messages, channels").await;
    }
}

fn report(world: &World, values: &BTreeMap<Gauge, Vec<u64>>) -> bool {
    let mut holds = true;
    println!("{:<10} {:<18} {:>12} {:>12} {:>12}", "", "", "first third", "last third", "most");
    for (Gauge { of, what }, growth) in growth::of(values) {
        let verdict = if growth.leaks { "GROWS" } else { "" };
        let (name, growth::Growth { first, last, max, .. }) = (What::name(*what), &growth);
        println!("{of:<10} {name:<18} {first:>12} {last:>12} {max:>12}  {verdict}");
        holds &= !growth.leaks;
    }
    for violation in world.journal.violations() {
        println!("{violation}");
        holds = false;
    }
    println!("{}", if holds { "nothing grew, nothing is left" } else { "FAILED" });
    holds
}
