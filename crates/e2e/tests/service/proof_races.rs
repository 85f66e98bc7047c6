//! A run that waits for its proof is cancelled, handed over by a shutdown, or loses its worker.

use std::time::Duration;

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::discord::{Fault, Route};
use dce_testkit::service::Service;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const CHANNEL: &str = "42";
const END: Duration = Duration::from_secs(40);

/// A service whose export has read everything and waits for Discord's answer.
async fn verifying() -> (Service, String) {
    let scenario = Scenario::new().channel(CHANNEL, Channel::generated(200, 5));
    let service = Service::start(&scenario).await;
    service.discord.fault(Fault::on(Route::messages(CHANNEL)).stalls().always());
    let job_id = service.export(&json!({ "channel_id": CHANNEL })).await;
    service.when(&job_id, "the proof is waited for", |export| export["phase"] == "verifying").await;
    (service, job_id)
}

/// The export once Discord answers again, with a second worker.
async fn completed_elsewhere(service: &mut Service, job_id: &str) -> Value {
    service.discord.clear_faults();
    service.add_worker(&[]).await;
    let export = service.ended(job_id).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &200.into()), "{export}");
    assert_eq!((&export["inserted_count"], &export["phase"]), (&200.into(), &Value::Null), "{export}");
    assert!(export["verified_at"].is_string(), "{export}");
    export
}

#[tokio::test]
async fn a_cancel_ends_the_waiting_for_a_proof() {
    let (service, job_id) = verifying().await;
    service.cancel(&job_id).await;
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["verified_at"]), (&"cancelled".into(), &Value::Null), "{export}");
    assert_eq!(
        (&export["runs"][0]["phase"], &export["message_count"]),
        (&Value::Null, &200.into()),
        "{export}"
    );

    // A retry asks for the proof alone.
    service.discord.clear_faults();
    service.retry(&job_id).await;
    assert_eq!(service.ended(&job_id).await["status"], "completed");
    assert_eq!(service.scenario.attempts_at(CHANNEL).len(), 1);
}

#[tokio::test]
async fn a_shutdown_hands_the_question_to_another_worker() {
    let (mut service, job_id) = verifying().await;
    service.workers[0].signal(Signal::SIGTERM);
    assert!(service.workers[0].wait(END).await.success());
    let waiting = service.find(&job_id).await;
    assert_eq!(
        (&waiting["runs"][0]["status"], &waiting["phase"]),
        (&"pending".into(), &Value::Null),
        "{waiting}"
    );
    completed_elsewhere(&mut service, &job_id).await;
    assert_eq!(service.scenario.attempts_at(CHANNEL).len(), 1, "DCE is not started again");
}

#[tokio::test]
async fn a_worker_killed_while_it_waits_loses_nothing() {
    let (mut service, job_id) = verifying().await;
    service.workers[0].signal(Signal::SIGKILL);
    service.workers[0].wait(END).await;
    let export = completed_elsewhere(&mut service, &job_id).await;
    assert_eq!(export["runs"][0]["attempt"], 2, "{export}");
}
