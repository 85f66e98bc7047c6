//! A worker ends, in order or not: another one resumes its run.

use std::time::{Duration, Instant};

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::archive::stored;

/// A slow channel, a worker in the middle of its export, and a second worker that is free.
async fn in_the_middle() -> (Service, String) {
    let scenario = Scenario::new().channel("42", Channel::generated(4000, 8).rate(500));
    let mut service = Service::api_only(&scenario, &[("SHUTDOWN_GRACE", "13s")]).await;
    service.add_worker(&[("WORKER_CONCURRENCY", "1")]).await;
    let job_id = service.export(&json!({ "channel_id": "42" })).await;
    service
        .when(&job_id, "messages arrive while DCE writes", |export| {
            export["message_count"].as_i64() > Some(300)
        })
        .await;
    service.add_worker(&[("WORKER_CONCURRENCY", "1")]).await;
    (service, job_id)
}

fn dce_is_gone(service: &Service) -> Option<()> {
    let pid = service.scenario.attempts_at("42").first()?.pid;
    (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
}

async fn assert_completes_with_every_message_once(service: &Service, job_id: &str) -> Value {
    let export = service.ended(job_id).await;
    assert_eq!(export["status"], "completed", "{export}");
    assert_eq!(
        (&export["message_count"], &export["inserted_count"]),
        (&4000.into(), &4000.into()),
        "{export}"
    );
    assert_eq!(stored(&service.pool(), "42").await.len(), 4000);
    let attempts = service.scenario.attempts_at("42");
    assert_eq!(attempts.len(), 2);
    assert!(attempts[1].option("--after").is_some(), "the second one resumes: {attempts:?}");
    export
}

#[tokio::test]
async fn a_stopped_worker_hands_its_run_over() {
    let (mut service, job_id) = in_the_middle().await;
    service.workers[0].signal(Signal::SIGTERM);
    let status = service.workers[0].wait(Duration::from_secs(30)).await;
    let ended = Instant::now();
    assert_eq!(status.code(), Some(0));
    assert_eq!(dce_is_gone(&service), Some(()));
    let goes_on = async || (service.scenario.attempts_at("42").len() == 2).then_some(());
    eventually(Duration::from_secs(10), "the other worker goes on", goes_on).await;
    println!("goes on {:.2} s after the first worker's exit", ended.elapsed().as_secs_f64());
    let export = assert_completes_with_every_message_once(&service, &job_id).await;
    assert_eq!(export["runs"][0]["failures"], 0, "a hand-back costs nothing");
}

#[tokio::test]
async fn a_killed_worker_loses_nothing() {
    let (mut service, job_id) = in_the_middle().await;
    service.workers[0].signal(Signal::SIGKILL);
    service.workers[0].wait(Duration::from_secs(10)).await;
    eventually(Duration::from_secs(5), "DCE dies with its worker", async || dce_is_gone(&service)).await;
    assert_completes_with_every_message_once(&service, &job_id).await;
}

/// Number of random kills; more with `DCE_KILL_SEEDS`.
const KILLS: u64 = 3;
/// Number of kills at once: each waits for a lease, but needs little work.
const AT_ONCE: u64 = 3;
/// Messages of a channel that is written faster than it can be ingested, so that all ingest connections are busy.
const MANY: u64 = 40_000;

#[tokio::test]
async fn a_worker_killed_during_parallel_writes_loses_nothing() {
    let seeds = std::env::var("DCE_KILL_SEEDS").map_or(KILLS, |seeds| seeds.parse().unwrap());
    for first in (1..=seeds).step_by(usize::try_from(AT_ONCE).unwrap()) {
        join_all((first..=seeds.min(first + AT_ONCE - 1)).map(kill_with_seed)).await;
    }
}

async fn kill_with_seed(seed: u64) {
    let mut service = Service::start(&Scenario::new().channel("42", Channel::generated(MANY, seed))).await;
    let job_id = service.export(&json!({ "channel_id": "42" })).await;
    // At any point between the first message and nearly the last.
    let moment = i64::try_from(seed * 7919 % (MANY - 4000)).unwrap();
    service
        .when(&job_id, "the moment of the kill", |export| export["message_count"].as_i64() > Some(moment))
        .await;
    service.workers[0].signal(Signal::SIGKILL);
    service.workers[0].wait(Duration::from_secs(10)).await;
    let killed = Instant::now();
    eventually(Duration::from_secs(5), "DCE dies with its worker", async || dce_is_gone(&service)).await;
    service.add_worker(&[]).await;
    let resumed = async || (service.scenario.attempts_at("42").len() == 2).then_some(());
    eventually(Duration::from_secs(60), "the second attempt", resumed).await;
    println!(
        "seed {seed}: killed after {moment} messages, resumed {:.1} s later",
        killed.elapsed().as_secs_f64()
    );

    let export = service.ended(&job_id).await;
    assert_eq!(
        (&export["status"], &export["message_count"]),
        (&"completed".into(), &MANY.into()),
        "{seed}: {export}"
    );
    // A batch above the cursor was committed by the first worker and is not new to the second.
    assert_eq!(export["inserted_count"], MANY, "{seed}: counted where they were written, once: {export}");
    let (rows, archived): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM messages WHERE channel_id = '42'), archived_count FROM channels WHERE channel_id = '42'",
    )
    .fetch_one(&service.pool())
    .await
    .unwrap();
    assert_eq!((rows, archived), (i64::try_from(MANY).unwrap(), rows), "{seed}");
}
