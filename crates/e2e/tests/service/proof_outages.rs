//! Discord does not answer when the end of an export is to be proven.

use std::time::Duration;

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::discord::{Fault, Route};
use dce_testkit::service::Service;
use serde_json::Value;

const CHANNEL: &str = "42";

async fn service(settings: &[(&'static str, &str)]) -> Service {
    let scenario = Scenario::new()
        .channel(CHANNEL, Channel::generated(200, 5))
        .channel("43", Channel::generated(100, 6));
    let mut service = Service::api_only(&scenario, settings).await;
    service.add_worker(&[("WORKER_CONCURRENCY", "1")]).await;
    service
}

/// Every proof is told to come back in ten minutes.
fn limit_rate(service: &Service) {
    service
        .discord
        .fault(Fault::on(Route::messages(CHANNEL)).rate_limited(Duration::from_secs(600)).always());
}

async fn submit(service: &Service, channel: &str) -> String {
    service.export(&serde_json::json!({ "channel_id": channel })).await
}

/// Waits until the run has given its slot back.
async fn handed_back(service: &Service, job_id: &str) -> Value {
    let export = service
        .when(job_id, "the run waits for its proof", |export| {
            export["runs"][0]["status"] == "pending" && !export["runs"][0]["error"].is_null()
        })
        .await;
    export["runs"][0].clone()
}

/// Moves the run's clocks: it is due now, and DCE was through this long ago.
async fn age(service: &Service, minutes: i32) {
    sqlx::query(
        "UPDATE export_channels SET run_at = clock_timestamp(), through_at = through_at - make_interval(mins => $1)
          WHERE through_at IS NOT NULL AND status = 'pending'",
    )
    .bind(minutes)
    .execute(&service.pool())
    .await
    .unwrap();
}

/// A worker that knows nothing of earlier limits.
async fn replace_worker(service: &mut Service) {
    service.workers.clear();
    service.add_worker(&[("WORKER_CONCURRENCY", "1")]).await;
}

fn starts_of_dce(service: &Service, channel: &str) -> usize {
    service.scenario.attempts_at(channel).len()
}

#[tokio::test]
async fn a_short_outage_is_waited_out_and_seen_as_verifying() {
    let service = service(&[]).await;
    service.discord.away();
    let job_id = submit(&service, CHANNEL).await;
    let waiting =
        service.when(&job_id, "the proof is waited for", |export| export["phase"] == "verifying").await;
    assert_eq!((&waiting["status"], &waiting["runs"][0]["phase"]), (&"running".into(), &"verifying".into()));
    service.discord.back();
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &200.into()), "{export}");
    assert_eq!((&export["runs"][0]["attempt"], &export["runs"][0]["phase"]), (&1.into(), &Value::Null));
    assert!(export["verified_at"].is_string(), "{export}");
}

#[tokio::test]
async fn a_long_outage_frees_the_slot_and_dce_is_not_started_again() {
    let service = service(&[]).await;
    service.discord.away();
    let (first, second) = (submit(&service, CHANNEL).await, submit(&service, "43").await);
    let run = handed_back(&service, &first).await;
    assert_eq!(
        (&run["error"]["code"], &run["failures"]),
        (&"discord_unavailable".into(), &0.into()),
        "{run}"
    );
    // The only slot is free for the other export.
    service.when(&second, "the second run starts", |export| export["status"] == "running").await;
    service.discord.back();
    for (job_id, channel) in [(first, CHANNEL), (second, "43")] {
        let export = service.ended(&job_id).await;
        assert_eq!(export["status"], "completed", "{export}");
        assert!(export["verified_at"].is_string(), "{export}");
        assert_eq!(starts_of_dce(&service, channel), 1);
    }
}

#[tokio::test]
async fn a_run_asks_again_before_it_starts_dce_again() {
    let mut service = service(&[]).await;
    limit_rate(&service);
    let job_id = submit(&service, CHANNEL).await;
    let run = handed_back(&service, &job_id).await;
    assert_eq!((&run["error"]["code"], &run["failures"]), (&"rate_limited".into(), &0.into()), "{run}");
    assert_eq!((&run["phase"], &run["message_count"]), (&Value::Null, &200.into()), "{run}");
    let due_in: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM run_at - clock_timestamp())::float8 FROM export_channels",
    )
    .fetch_one(&service.pool())
    .await
    .unwrap();
    assert!((500.0..=600.0).contains(&due_in), "Discord's wish is respected: {due_in} s");

    service.discord.clear_faults();
    replace_worker(&mut service).await;
    age(&service, 0).await;
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    assert_eq!(
        (&export["runs"][0]["attempt"], &export["message_count"]),
        (&2.into(), &200.into()),
        "{export}"
    );
    assert_eq!(starts_of_dce(&service, CHANNEL), 1);
}

#[tokio::test]
async fn after_a_quarter_of_an_hour_without_a_proof_the_budget_is_charged() {
    let mut service = service(&[("MAX_ATTEMPTS", "1")]).await;
    limit_rate(&service);
    let job_id = submit(&service, CHANNEL).await;
    handed_back(&service, &job_id).await;
    age(&service, 14).await;
    let run = service
        .when(&job_id, "the run has asked twice", |export| {
            export["runs"][0]["status"] == "pending" && export["runs"][0]["attempt"] == 2
        })
        .await["runs"][0]
        .clone();
    assert_eq!(run["failures"], 0, "{run}");
    age(&service, 2).await;
    let export = service.ended(&job_id).await;
    assert_eq!(
        (&export["status"], &export["error"]["code"]),
        (&"failed".into(), &"rate_limited".into()),
        "{export}"
    );
    assert_eq!(starts_of_dce(&service, CHANNEL), 1);

    // A retry by hand asks, and finds that nothing else is missing.
    service.discord.clear_faults();
    replace_worker(&mut service).await;
    service.retry(&job_id).await;
    assert_eq!(service.ended(&job_id).await["status"], "completed");
    assert_eq!(starts_of_dce(&service, CHANNEL), 1);
}
