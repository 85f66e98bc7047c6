//! A token that Discord refuses is not used again and again.

use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::{Service, TOKEN};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(30);

fn refused(times: usize) -> Channel {
    (0..times)
        .fold(Channel::generated(30, 1), |channel, _| channel.attempt(Attempt::ends(Ending::InvalidToken)))
}

/// A service whose worker's token was refused once.
async fn with_a_bad_token(next: Channel) -> Service {
    let service = Service::start(&Scenario::new().channel("1", refused(1)).channel("2", next)).await;
    let export = service.export_channel("1").await;
    assert_eq!((&export["status"], &export["error"]["code"]), (&"failed".into(), &"invalid_token".into()));
    service
}

async fn due_for_a_probe(service: &Service) {
    sqlx::query("UPDATE rejected_tokens SET tried_at = clock_timestamp() - interval '10 min'")
        .execute(&service.pool())
        .await
        .unwrap();
}

async fn waits(service: &Service) -> String {
    let job_id = service.export(&json!({ "channel_id": "2" })).await;
    let why = |export: &Value| export["waiting"]["code"] == "invalid_token";
    let export = service.when(&job_id, "it says why it waits", why).await;
    assert_eq!(export["status"], "pending", "{export}");
    for sentence in ["message", "action"] {
        assert!(export["waiting"][sentence].as_str().unwrap().ends_with('.'), "{export}");
    }
    job_id
}

#[tokio::test]
async fn nothing_starts_with_a_refused_token_until_it_is_changed() {
    let mut service = with_a_bad_token(Channel::generated(30, 2)).await;
    let job_id = waits(&service).await;
    let (_, ready) = service.get("/readyz").await;
    assert_eq!(
        (&ready["status"], &ready["problems"][0]["code"]),
        (&"degraded".into(), &"invalid_token".into())
    );
    service.workers[0].line(BOUND, "token.rejected").await;

    // A new worker with the same token starts no run either.
    service.add_worker(&[]).await;
    service.workers[1].line(BOUND, "token.rejected").await;
    assert!(service.scenario.attempts_at("2").is_empty());

    service.add_worker(&[("DISCORD_TOKEN", "another")]).await;
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["waiting"]), (&"completed".into(), &Value::Null), "{export}");
    let stored: String = sqlx::query_scalar("SELECT rejected_tokens::text FROM rejected_tokens")
        .fetch_one(&service.pool())
        .await
        .unwrap();
    assert!(!stored.contains(TOKEN) && !TOKEN.split('.').any(|part| stored.contains(part)), "{stored}");
}

#[tokio::test]
async fn a_probe_that_discord_accepts_lets_all_runs_continue() {
    let service = with_a_bad_token(Channel::generated(30, 2)).await;
    let job_id = waits(&service).await;
    due_for_a_probe(&service).await;
    assert_eq!(service.ended(&job_id).await["status"], "completed");
    service.workers[0].line(BOUND, "token.accepted").await;
    eventually(BOUND, "the service is well", async || {
        (service.get("/readyz").await.1["status"] == "ready").then_some(())
    })
    .await;
    let failed = service.export(&json!({ "channel_id": "1" })).await;
    assert_eq!(service.ended(&failed).await["status"], "completed");
}

#[tokio::test]
async fn a_probe_that_discord_refuses_does_not_count_as_a_failure() {
    let service = with_a_bad_token(refused(1)).await;
    let job_id = waits(&service).await;
    due_for_a_probe(&service).await;
    let refused = |export: &Value| export["runs"][0]["error"]["code"] == "invalid_token";
    let export = service.when(&job_id, "the trial was refused", refused).await;
    let run = &export["runs"][0];
    assert_eq!(
        (&run["status"], &run["attempt"], &run["failures"]),
        (&"pending".into(), &1.into(), &0.into())
    );
    assert_eq!(service.scenario.attempts_at("2").len(), 1);
    due_for_a_probe(&service).await;
    assert_eq!(service.ended(&job_id).await["status"], "completed", "the next trial");
}

#[tokio::test]
async fn a_token_refused_again_after_a_probe_waits_again() {
    let late = Channel::generated(30, 2).attempt(Attempt::ends_after(20, Ending::InvalidToken));
    let service = with_a_bad_token(late).await;
    let job_id = waits(&service).await;
    due_for_a_probe(&service).await;
    let refused = |export: &Value| export["runs"][0]["error"]["code"] == "invalid_token";
    let export = service.when(&job_id, "the trial was refused in the end", refused).await;
    assert_eq!(export["runs"][0]["status"], "pending", "{export}");
    let rejected: i64 =
        sqlx::query_scalar("SELECT count(*) FROM rejected_tokens").fetch_one(&service.pool()).await.unwrap();
    assert_eq!(rejected, 1, "what is known last holds");
}
