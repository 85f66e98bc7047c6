//! Cancel and retry, from the request to the process and the rows.

use std::time::{Duration, Instant};

use dce_core::ids::Snowflake;
use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::archive::stored;

/// DCE has 10 s to stop by itself.
const STOP: Duration = Duration::from_secs(30);

/// Takes ten seconds if it is not stopped.
fn slow() -> Channel {
    Channel::generated(3000, 7).rate(300)
}

/// Exports these channels and waits until messages of the first one are archived.
async fn going_on(service: &Service, channels: &[&str]) -> String {
    let job_id = service.export(&json!({ "channel_ids": channels })).await;
    let started = |export: &Value| export["runs"][0]["message_count"].as_i64() > Some(30);
    let export = service.when(&job_id, "messages arrive", started).await;
    assert_eq!(export["runs"][0]["channel_id"], channels[0], "runs come in the order of their channels");
    job_id
}

/// Whether the process of this attempt runs.
fn is_running(service: &Service, channel: &str, attempt: usize) -> bool {
    let pid = service.scenario.attempts_at(channel)[attempt].pid;
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
}

fn assert_accepted(answer: &(StatusCode, Value), job_id: &str, status: &str, cancelling: bool) {
    assert_eq!(answer.0, StatusCode::ACCEPTED, "{answer:?}");
    let links = json!({ "self": format!("/exports/{job_id}") });
    let body = json!({ "job_id": job_id, "status": status, "cancelling": cancelling, "links": links });
    assert_eq!(answer.1, body);
}

fn assert_refused(answer: &(StatusCode, Value), code: &str) {
    assert_eq!((answer.0, &answer.1["code"]), (StatusCode::CONFLICT, &code.into()), "{answer:?}");
}

/// Asserts that the export completed with this many messages of one channel, each inserted once.
async fn assert_complete(service: &Service, export: &Value, channel: &str, messages: usize) {
    assert_eq!(export["status"], "completed", "{export}");
    assert_eq!((&export["error"], &export["cancel_requested_at"]), (&Value::Null, &Value::Null), "{export}");
    let run = export["runs"].as_array().unwrap().iter().find(|run| run["channel_id"] == channel).unwrap();
    assert_eq!(
        (&run["message_count"], &run["inserted_count"]),
        (&messages.into(), &messages.into()),
        "{run}"
    );
    assert_eq!(stored(&service.pool(), channel).await.len(), messages);
}

#[tokio::test]
async fn a_waiting_export_is_cancelled_at_once_and_never_starts() {
    let scenario =
        Scenario::new().channel("1", Channel::generated(10, 1)).channel("2", Channel::generated(10, 2));
    let mut service = Service::api_only(&scenario, &[]).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    assert_eq!(service.find(&job_id).await["waiting"]["code"], "no_worker");
    assert_accepted(&service.cancel(&job_id).await, &job_id, "cancelled", false);
    let cancelled = service.find(&job_id).await;
    assert_eq!((&cancelled["status"], &cancelled["waiting"]), (&"cancelled".into(), &Value::Null));
    assert!(cancelled["finished_at"].is_string() && cancelled["started_at"].is_null(), "{cancelled}");

    service.add_worker(&[]).await;
    assert_complete(&service, &service.export_channel("2").await, "2", 10).await;
    assert!(service.scenario.attempts_at("1").is_empty());
    assert_eq!(service.find(&job_id).await, cancelled, "its task was forgotten");
}

#[tokio::test]
async fn a_cancel_stops_dce_and_keeps_its_messages_and_a_retry_resumes_after_them() {
    let service = Service::start(&Scenario::new().channel("1", slow()).channel("2", slow())).await;
    let job_id = going_on(&service, &["1", "2"]).await;
    let both = |export: &Value| export["runs"][1]["message_count"].as_i64() > Some(30);
    service.when(&job_id, "messages of the other arrive", both).await;
    assert_refused(&service.retry(&job_id).await, "nothing_to_retry");

    let answer = service.cancel(&job_id).await;
    let answered = Instant::now();
    assert_accepted(&answer, &job_id, "running", true);
    eventually(STOP, "DCE is gone", async || (!is_running(&service, "1", 0)).then_some(())).await;
    println!("from the answer to the cancel to DCE's end: {:.2} s", answered.elapsed().as_secs_f64());
    let cancelled = service.ended(&job_id).await;
    println!("to the export's end: {:.2} s", answered.elapsed().as_secs_f64());

    assert_eq!(
        (&cancelled["status"], &cancelled["error"]),
        (&"cancelled".into(), &Value::Null),
        "{cancelled}"
    );
    assert!(!is_running(&service, "2", 0), "a cancelled run has no process");
    let kept = cancelled["message_count"].as_i64().unwrap();
    assert!(0 < kept && kept < 1800, "{cancelled}");
    assert_eq!(cancelled["inserted_count"], kept);
    let rows = stored(&service.pool(), "1").await.len() + stored(&service.pool(), "2").await.len();
    assert_eq!(i64::try_from(rows).unwrap(), kept, "what was read is there and counted");
    assert_accepted(&service.cancel(&job_id).await, &job_id, "cancelled", false);
    assert_eq!(service.find(&job_id).await, cancelled, "a second cancel changes nothing");

    assert_accepted(&service.retry(&job_id).await, &job_id, "running", false);
    let export = service.ended(&job_id).await;
    for (at, channel) in ["1", "2"].into_iter().enumerate() {
        assert_complete(&service, &export, channel, 3000).await;
        let attempts = service.scenario.attempts_at(channel);
        assert_eq!(attempts.len(), 2);
        let last: Snowflake = cancelled["runs"][at]["last_message_id"].as_str().unwrap().parse().unwrap();
        let after = last.first_of_millisecond().before().to_string();
        assert_eq!(attempts[1].option("--after"), Some(&*after), "it went on after the last message it had");
    }
    assert_refused(&service.cancel(&job_id).await, "export_ended");
    assert_refused(&service.retry(&job_id).await, "nothing_to_retry");
}

#[tokio::test]
async fn a_cancel_of_one_export_does_not_affect_others() {
    let service = Service::start(&Scenario::new().channel("1", slow()).channel("2", slow())).await;
    let cancelled = going_on(&service, &["1"]).await;
    let other = going_on(&service, &["2"]).await;
    assert_eq!(service.cancel(&cancelled).await.0, StatusCode::ACCEPTED);
    let before = service.find(&cancelled).await;
    assert_eq!(service.cancel(&cancelled).await.0, StatusCode::ACCEPTED);
    let after = service.find(&cancelled).await;
    assert_eq!(after["cancel_requested_at"], before["cancel_requested_at"], "the first one counts");
    assert_eq!(service.ended(&cancelled).await["status"], "cancelled");
    assert_complete(&service, &service.ended(&other).await, "2", 3000).await;
    assert_eq!(service.scenario.attempts_at("2").len(), 1);
}

#[tokio::test]
async fn a_failed_channel_is_retried_while_another_runs() {
    let channel = Channel::generated(50, 3).attempt(Attempt::ends(Ending::Forbidden));
    let service = Service::start(&Scenario::new().channel("1", slow()).channel("2", channel)).await;
    let job_id = going_on(&service, &["1", "2"]).await;
    let failed = service.when(&job_id, "one fails", |export| export["runs"][1]["status"] == "failed").await;
    assert_eq!(failed["status"], "running", "the other goes on: {failed}");

    assert_accepted(&service.retry(&job_id).await, &job_id, "running", false);
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export, "1", 3000).await;
    assert_complete(&service, &export, "2", 50).await;
    assert_eq!(service.scenario.attempts_at("1").len(), 1, "it was not disturbed");
    assert_eq!(service.scenario.attempts_at("2").len(), 2);
}

#[tokio::test]
async fn a_retry_of_a_failed_export_does_not_repeat_completed_runs() {
    let failing = Channel::generated(80, 3).attempt(Attempt::ends_after(30, Ending::NoIntent));
    let scenario = Scenario::new().channel("1", Channel::generated(10, 1)).channel("2", failing);
    let service = Service::start(&scenario).await;
    let job_id = service.export(&json!({ "channel_ids": ["1", "2"] })).await;
    assert_eq!(service.ended(&job_id).await["status"], "failed");
    assert_refused(&service.cancel(&job_id).await, "export_ended");

    assert_accepted(&service.retry(&job_id).await, &job_id, "running", false);
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export, "1", 10).await;
    assert_complete(&service, &export, "2", 80).await;
    assert_eq!(service.scenario.attempts_at("1").len(), 1);
}

#[tokio::test]
async fn a_cancel_withdrawn_at_once_loses_nothing() {
    let service = Service::start(&Scenario::new().channel("1", slow())).await;
    let job_id = going_on(&service, &["1"]).await;
    assert_accepted(&service.cancel(&job_id).await, &job_id, "running", true);
    assert_accepted(&service.retry(&job_id).await, &job_id, "running", false);
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export, "1", 3000).await;
    assert_eq!(export["runs"][0]["failures"], 0);
}
