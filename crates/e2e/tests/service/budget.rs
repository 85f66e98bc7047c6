//! The retry budget: unlimited attempts while a run advances, a few in a row without progress.

use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use serde_json::{Value, json};

/// Five leases, and the time to notice.
const FIVE_LEASES: Duration = Duration::from_secs(240);
/// Seconds: a little less than the 1.337 of the recorded 429, more than the 1 s of the worker's own first delay.
const ASKED_FOR: f64 = 1.1;

#[tokio::test]
async fn a_run_that_crashes_its_workers_fails_and_other_runs_continue() {
    // Its first message is not framed, because no other message follows.
    let poison = (0..6).fold(Channel::generated(10, 1), |channel, _| {
        channel.attempt(Attempt::ends_after(1, Ending::KillsWorker))
    });
    let scenario = Scenario::new().channel("1", poison).channel("2", Channel::generated(6000, 2).rate(300));
    let mut service = Service::api_only(&scenario, &[("WORKER_CONCURRENCY", "1")]).await;
    service.add_worker(&[]).await;
    service.add_worker(&[]).await;
    let other = service.export(&json!({ "channel_id": "2" })).await;
    let poison = service.export(&json!({ "channel_id": "1" })).await;
    let mut deaths = 0;
    let export = eventually(FIVE_LEASES, "the run is given up", async || {
        for index in 0..service.workers.len() {
            if !service.workers[index].is_running() {
                deaths += 1;
                service.workers.remove(index);
                service.add_worker(&[]).await;
            }
        }
        Some(service.find(&poison).await).filter(|export| !export["finished_at"].is_null())
    })
    .await;
    assert_eq!((&export["status"], &export["error"]["code"]), (&"failed".into(), &"lease_expired".into()));
    assert_eq!((&export["runs"][0]["attempt"], &export["runs"][0]["failures"]), (&5.into(), &5.into()));
    assert_eq!(deaths, 5);
    let history: Vec<(String, bool)> = sqlx::query_as(
        "SELECT a.outcome, a.ended_at IS NOT NULL FROM export_attempts a JOIN export_channels r ON r.id = a.run_id
          WHERE r.channel_id = '1' ORDER BY a.attempt",
    )
    .fetch_all(&service.pool())
    .await
    .unwrap();
    assert_eq!(history, vec![("lease_expired".to_owned(), true); 5]);
    let other = service.ended(&other).await;
    assert_eq!((&other["status"], &other["inserted_count"]), (&"completed".into(), &6000.into()), "{other}");
}

#[tokio::test]
async fn a_channel_that_loses_its_connection_twenty_times_but_advances_completes() {
    let channel = (0..20).fold(Channel::generated(2000, 3), |channel, _| {
        channel.attempt(Attempt::ends_after(50, Ending::Dropped))
    });
    let mut service =
        Service::api_only(&Scenario::new().channel("1", channel), &[("MAX_ATTEMPTS", "2")]).await;
    service.add_worker(&[]).await;
    let export = service.export_channel("1").await;
    assert_eq!(
        (&export["status"], &export["inserted_count"]),
        (&"completed".into(), &2000.into()),
        "{export}"
    );
    assert_eq!((&export["runs"][0]["attempt"], &export["error"]), (&21.into(), &Value::Null), "{export}");
}

#[tokio::test]
async fn the_retry_delay_that_discord_requests_is_respected() {
    let channel = Channel::generated(20, 4).attempt(Attempt::ends(Ending::RateLimited));
    let service = Service::start(&Scenario::new().channel("1", channel)).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    let waits = service
        .when(&job_id, "it waits", |export| export["runs"][0]["error"]["code"] == "rate_limited")
        .await;
    let pause: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM r.run_at - a.ended_at)::float8 FROM export_channels r JOIN export_attempts a ON a.run_id = r.id",
    )
    .fetch_one(&service.pool())
    .await
    .unwrap();
    assert!(pause >= ASKED_FOR, "{pause} s: {waits}");
}
