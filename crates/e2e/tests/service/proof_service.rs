//! A service whose DCE asks the fake Discord as the real one asks Discord, for tests of the proof of an end.

use std::collections::BTreeSet;

use dce_standin::scenario::{Channel, DceVersion, Scenario};
use dce_standin::snowflake::Snowflake;
use dce_testkit::discord::{Fault, Request, Route};
use dce_testkit::service::Service;
use serde_json::{Value, json};

/// A generated channel that is exported by HTTP.
pub(crate) fn asking(messages: u64) -> Channel {
    Channel::generated(messages, 3).asks_discord(true)
}

/// A scenario in which DCE does not wait long between its requests.
pub(crate) fn hasty(version: DceVersion) -> Scenario {
    Scenario::new().version(version).hasty(true)
}

/// Starts the API and one worker with a slot for each channel. Discord can be changed before the worker exists.
pub(crate) async fn start(scenario: &Scenario, max_attempts: &str, change: impl FnOnce(&Service)) -> Service {
    let slots = scenario.channels.len().max(1).to_string();
    let settings = [("MAX_ATTEMPTS", max_attempts), ("WORKER_CONCURRENCY", &slots)];
    let mut service = Service::api_only(scenario, &settings).await;
    change(&service);
    service.add_worker(&[]).await;
    service
}

/// The first id of this moment plus some milliseconds, by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "messages of the present need the present")]
pub(crate) fn id_now(plus_ms: i64) -> u64 {
    Snowflake::from_unix_ms(chrono::Utc::now().timestamp_millis() + plus_ms).0
}

/// DCE's first question.
pub(crate) fn is_question(request: &Request) -> bool {
    request.parameter("limit") == Some("1") && request.parameter("around").is_none()
}

/// One of DCE's pages.
pub(crate) fn is_page(request: &Request) -> bool {
    request.parameter("limit") == Some("100") && request.parameter("after").is_some()
}

/// The service's own question for the proof.
pub(crate) fn is_proof(request: &Request) -> bool {
    request.parameter("limit") == Some("100") && request.parameter("before").is_some()
}

/// A fault of requests for a channel's messages.
pub(crate) fn on(channel: &str, which: fn(&Request) -> bool) -> Fault {
    Fault::on(Route::messages(channel)).matching(which)
}

/// How many times the service asked for the proof of a channel.
pub(crate) fn proofs(service: &Service, channel: &str) -> usize {
    let requests = service.discord.requests();
    requests.iter().filter(|request| request.is_for_messages_of(channel) && is_proof(request)).count()
}

/// The ids of a channel in the archive, without those that are marked as missing.
pub(crate) async fn archived(service: &Service, channel: &str) -> BTreeSet<u64> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT message_id FROM messages WHERE channel_id = $1 AND missing_since IS NULL")
            .bind(channel)
            .fetch_all(&service.pool())
            .await
            .unwrap();
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// The archive holds exactly what Discord shows.
pub(crate) async fn assert_archived(service: &Service, channel: &str) {
    let listed: BTreeSet<_> = service.discord.message_ids(channel).into_iter().collect();
    let archived = archived(service, channel).await;
    let missing: Vec<_> = listed.difference(&archived).collect();
    assert!(missing.is_empty(), "{} of {} are not archived: {missing:?}", missing.len(), listed.len());
    assert_eq!(archived.len(), listed.len(), "more than Discord shows");
}

/// Completed, and Discord itself said so.
pub(crate) fn assert_proven(export: &Value) {
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    assert!(export["verified_at"].is_string(), "{export}");
    for run in export["runs"].as_array().unwrap() {
        assert!(run["verified_at"].is_string(), "{run}");
        assert!(run["discord_requests"].as_u64().unwrap() > 0, "{run}");
        assert_eq!(run["phase"], Value::Null, "{run}");
    }
}

/// Failed with this code, and not proven.
pub(crate) fn assert_failed(export: &Value, code: &str) {
    assert_eq!((&export["status"], &export["error"]["code"]), (&"failed".into(), &code.into()), "{export}");
    assert_eq!(export["verified_at"], Value::Null, "{export}");
}

/// Exports one channel, with these fields besides its id, and waits for the end.
pub(crate) async fn export(service: &Service, channel: &str, fields: Value) -> Value {
    let mut body = fields;
    body["channel_id"] = channel.into();
    let job_id = service.export(&body).await;
    service.ended(&job_id).await
}

/// The whole channel.
pub(crate) async fn export_all(service: &Service, channel: &str) -> Value {
    export(service, channel, json!({})).await
}

/// Makes the time since DCE was through look longer, and the next attempt due now.
pub(crate) async fn let_minutes_pass(service: &Service, channel: &str, minutes: i32) {
    let changed = sqlx::query(
        "UPDATE export_channels SET through_at = through_at - make_interval(mins => $2), run_at = clock_timestamp()
          WHERE channel_id = $1 AND status = 'pending' AND through_at IS NOT NULL",
    )
    .bind(channel)
    .bind(minutes)
    .execute(&service.pool())
    .await
    .unwrap();
    assert_eq!(changed.rows_affected(), 1, "a run that waits for its proof");
}
