//! Cancel and retry: the response in each state. SQL statements play the workers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api};

const NOBODY: &str = "/exports/00000000-0000-0000-0000-000000000000";

/// A worker has the first run.
const CLAIMED: &str =
    "UPDATE export_channels SET status = 'running', attempt = 1, task_id = NULL, lease_owner = 'w',
      lease_expires_at = clock_timestamp() + interval '1 h', started_at = clock_timestamp()
    WHERE id = (SELECT min(id::text)::uuid FROM export_channels);
  UPDATE exports SET status = 'running', started_at = clock_timestamp()";
/// All runs have ended as `completed`.
const COMPLETED: &str =
    "UPDATE export_channels SET status = 'completed', attempt = 1, task_id = NULL, lease_owner = NULL,
      lease_expires_at = NULL, finished_at = clock_timestamp();
  UPDATE exports SET status = 'completed', finished_at = clock_timestamp()";
/// The first run, and with it the export, has failed for good.
const FAILED: &str =
    "UPDATE export_channels SET status = 'failed', failures = 1, lease_owner = NULL, lease_expires_at = NULL,
      finished_at = clock_timestamp(), error = '{\"code\": \"missing_access\"}' WHERE status = 'running';
  UPDATE exports SET status = 'failed', finished_at = clock_timestamp()";

impl Api {
    async fn submit(&self, channels: &[&str]) -> String {
        self.post(&json!({ "channel_ids": channels })).await.header("location").to_owned()
    }

    async fn ask(&self, path: &str) -> Answer {
        Answer::send(self.request(Method::POST, path)).await
    }
}

fn assert_accepted(answer: &Answer, path: &str, status: &str, cancelling: bool) {
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!((answer.header("location"), answer.header("retry-after")), (path, "1"));
    let job_id = path.rsplit('/').next();
    let body =
        json!({ "job_id": job_id, "status": status, "cancelling": cancelling, "links": { "self": path } });
    assert_eq!(answer.body, body);
}

#[tokio::test]
async fn a_pending_export_is_cancelled_at_once_and_can_be_retried() {
    let api = Api::start(&[]).await;
    let path = api.submit(&["1", "2"]).await;
    assert_accepted(&api.ask(&format!("{path}/cancel")).await, &path, "cancelled", false);
    let cancelled = api.get(&path).await.body;
    assert_eq!(cancelled["status"], "cancelled");
    assert!(cancelled["cancel_requested_at"].is_string() && cancelled["finished_at"].is_string());

    assert_accepted(&api.ask(&format!("{path}/cancel")).await, &path, "cancelled", false);
    assert_eq!(api.get(&path).await.body, cancelled, "a second cancel changes nothing");

    assert_accepted(&api.ask(&format!("{path}/retry")).await, &path, "pending", false);
    let pending = api.get(&path).await.body;
    assert_eq!((&pending["status"], &pending["cancel_requested_at"]), (&json!("pending"), &Value::Null));
    assert_eq!(api.stored().await[2], 2, "one run is admitted again: the first task stays behind");
    api.ask(&format!("{path}/retry")).await.assert_problem(409, "nothing_to_retry");
}

#[tokio::test]
async fn a_running_export_is_cancelling_until_a_retry_withdraws_the_cancel() {
    let api = Api::start(&[]).await;
    let path = api.submit(&["1", "2"]).await;
    api.sql(CLAIMED).await;
    let answer = api.ask(&format!("{path}/retry")).await;
    answer.assert_problem(409, "nothing_to_retry");
    assert!(answer.body["detail"].as_str().unwrap().contains("not ended"), "{answer:?}");

    assert_accepted(&api.ask(&format!("{path}/cancel")).await, &path, "running", true);
    let cancelling = api.get(&path).await.body;
    assert_eq!(
        (&cancelling["runs"][0]["status"], &cancelling["runs"][1]["status"]),
        (&json!("running"), &json!("cancelled"))
    );
    assert_accepted(&api.ask(&format!("{path}/cancel")).await, &path, "running", true);
    assert_eq!(api.get(&path).await.body, cancelling);

    assert_accepted(&api.ask(&format!("{path}/retry")).await, &path, "running", false);
    let again = api.get(&path).await.body;
    assert_eq!(again["cancel_requested_at"], Value::Null);
    assert_eq!(
        (&again["runs"][0]["status"], &again["runs"][1]["status"]),
        (&json!("running"), &json!("pending"))
    );
}

#[tokio::test]
async fn an_ended_export_cannot_be_cancelled_and_only_a_failed_one_retried() {
    let api = Api::start(&[]).await;
    let path = api.submit(&["1"]).await;
    api.sql(CLAIMED).await;
    api.sql(FAILED).await;
    let answer = api.ask(&format!("{path}/cancel")).await;
    answer.assert_problem(409, "export_ended");
    assert!(answer.body["detail"].as_str().unwrap().contains("has failed"), "{answer:?}");
    assert_accepted(&api.ask(&format!("{path}/retry")).await, &path, "running", false);
    let again = api.get(&path).await.body;
    assert_eq!((&again["runs"][0]["status"], &again["runs"][0]["failures"]), (&json!("pending"), &json!(0)));
    assert_eq!((&again["error"], &again["finished_at"]), (&Value::Null, &Value::Null));

    api.sql(COMPLETED).await;
    for (what, code) in [("cancel", "export_ended"), ("retry", "nothing_to_retry")] {
        let answer = api.ask(&format!("{path}/{what}")).await;
        answer.assert_problem(409, code);
        assert!(answer.body["detail"].as_str().unwrap().contains("has completed"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_is_optional_and_must_be_empty() {
    let api = Api::start(&[]).await;
    let path = format!("{}/cancel", api.submit(&["1"]).await);
    let json = "application/json";
    for (media_type, body, status, code) in [
        (json, "{\"reason\": \"changed my mind\"}", 422, "validation_failed"),
        (json, "{", 400, "malformed_json"),
        (json, "[]", 400, "not_an_object"),
        ("text/plain", "{}", 415, "unsupported_media_type"),
    ] {
        let request = api.request(Method::POST, &path).header("content-type", media_type).body(body);
        let answer = Answer::send(request).await;
        answer.assert_problem(status, code);
        let faults: &[_] = if status == 422 { &[("/reason", "unknown_field")] } else { &[] };
        assert_eq!(answer.faults(), faults);
    }
    let large = api.request(Method::POST, &path).header("content-type", json).body("x".repeat(65_537));
    Answer::send(large).await.assert_problem(413, "body_too_large");
    let shown = api.get(path.trim_end_matches("/cancel")).await.body;
    assert_eq!(shown["status"], "pending", "nothing of that cancelled it");

    let empty = api.request(Method::POST, &path).header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(Answer::send(empty).await.status, 202);
    assert_eq!(Answer::send(api.request(Method::POST, &path).json(&json!({}))).await.status, 202);
}

#[tokio::test]
async fn only_existing_exports_are_controlled_and_only_by_post() {
    let api = Api::start(&[]).await;
    for what in ["cancel", "retry"] {
        api.ask(&format!("{NOBODY}/{what}")).await.assert_problem(404, "export_not_found");
        api.ask(&format!("/exports/not-a-uuid/{what}")).await.assert_problem(404, "export_not_found");
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::PUT] {
            let answer = Answer::send(api.request(method.clone(), &format!("{NOBODY}/{what}"))).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method} {what}");
        }
    }
}
