//! Who may switch the proof off, and what clients are told then.

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::discord::Route;
use dce_testkit::service::Service;
use serde_json::{Value, json};

const CHANNEL: &str = "42";

/// A service whose worker has these settings, and an export of its channel.
async fn exported(user_token: bool, settings: &[(&'static str, &str)]) -> (Service, Value) {
    let scenario = Scenario::new().channel(CHANNEL, Channel::generated(50, 3));
    let mut service = Service::api_only(&scenario, &[]).await;
    service.discord.take_user_tokens(user_token);
    service.add_worker(settings).await;
    let export = service.export_channel(CHANNEL).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &50.into()), "{export}");
    (service, export)
}

fn warning_codes(export: &Value) -> Vec<&str> {
    export["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

fn assert_not_verified(export: &Value) {
    assert_eq!(warning_codes(export), ["not_verified"], "{export}");
    assert_eq!((&export["verified_at"], &export["runs"][0]["verified_at"]), (&Value::Null, &Value::Null));
}

fn assert_verified(export: &Value) {
    assert!(warning_codes(export).is_empty(), "{export}");
    let run = &export["runs"][0];
    assert!(export["verified_at"].is_string() && export["verified_at"] == run["verified_at"], "{export}");
    assert_eq!(run["verified_newest_id"], run["last_message_id"], "{export}");
}

#[tokio::test]
async fn a_proof_costs_one_request() {
    let (mut service, first) = exported(false, &[]).await;
    assert_verified(&first);
    // The first one of a worker learns, too, whose token it is.
    assert_eq!(first["discord_requests"], 2, "{first}");
    let second = service.export_channel(CHANNEL).await;
    assert_eq!((&second["discord_requests"], &second["runs"][0]["discord_requests"]), (&1.into(), &1.into()));
    service.workers.clear();
}

#[tokio::test]
async fn without_discord_verify_nobody_asks_and_clients_are_warned() {
    let (service, export) = exported(false, &[("DISCORD_VERIFY", "false")]).await;
    assert_not_verified(&export);
    assert_eq!(export["discord_requests"], 0);
    assert!(service.discord.requests().is_empty());
}

#[tokio::test]
async fn without_a_proof_an_update_marks_nothing_behind_the_last_message() {
    let lying = Channel::generated(50, 3)
        .attempt(Attempt::ends(Ending::Complete))
        .attempt(Attempt::ends_after(20, Ending::Complete))
        .attempt(Attempt::ends_after(0, Ending::Complete));
    let mut service = Service::api_only(&Scenario::new().channel(CHANNEL, lying), &[]).await;
    service.add_worker(&[("DISCORD_VERIFY", "false")]).await;
    for count in [50, 20, 0] {
        let job_id = service.export(&json!({ "channel_id": CHANNEL, "on_conflict": "update" })).await;
        let export = service.ended(&job_id).await;
        assert_eq!(
            (&export["status"], &export["message_count"]),
            (&"completed".into(), &count.into()),
            "{export}"
        );
        assert_not_verified(&export);
        let marked: i64 = sqlx::query_scalar("SELECT count(*) FROM messages WHERE missing_since IS NOT NULL")
            .fetch_one(&service.pool())
            .await
            .unwrap();
        assert_eq!(marked, 0, "{export}");
    }
}

#[tokio::test]
async fn a_users_token_is_used_only_if_that_is_allowed() {
    let (service, export) = exported(true, &[]).await;
    assert_not_verified(&export);
    let asked = service.discord.requests();
    assert!(asked.iter().all(|request| request.route == Route::CurrentUser), "{asked:?}");

    let (service, export) = exported(true, &[("ALLOW_USER_TOKEN", "true")]).await;
    assert_verified(&export);
    assert!(service.log().iter().any(|line| line.contains("\"discord.user_token_allowed\"")));
}

#[tokio::test]
async fn an_address_that_dce_does_not_read_proves_nothing() {
    let (service, export) = exported(false, &[("DISCORD_API_URL", "https://discord.com/api/v10")]).await;
    assert_not_verified(&export);
    assert!(service.log().iter().any(|line| line.contains("\"discord.not_asked\"")));
}
