//! Answers of Discord's that look like a proof of the end and are none.

use chrono::DateTime;
use dce_standin::scenario::{Attempt, Ending, Scenario};
use dce_testkit::discord::{Fault, Request, Route};
use dce_testkit::service::Service;
use serde_json::{Value, json};

use crate::archive::stored;
use crate::document::{CHANNEL, Document};

/// The millisecond of the first message, since 2015.
const BEGINNING: u64 = 299_692_000_000;
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;

/// Ten messages, one a second.
fn document() -> Document {
    let ids: Vec<u64> = (0..10).map(|second| (BEGINNING + second * 1_000) << 22).collect();
    Document::generated(10).renumbered(&ids)
}

/// A time after the first message.
fn after_beginning(seconds: u64) -> String {
    let milliseconds = DISCORD_EPOCH_MS + BEGINNING + seconds * 1_000;
    DateTime::from_timestamp_millis(milliseconds.cast_signed()).unwrap().to_rfc3339()
}

fn assert_proven(export: &Value) {
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    assert!(export["verified_at"].is_string(), "{export}");
}

/// How the run's attempts ended.
async fn failures(service: &Service) -> Vec<Option<String>> {
    sqlx::query_scalar("SELECT error_kind FROM export_attempts ORDER BY attempt")
        .fetch_all(&service.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_empty_list_of_a_channel_that_can_be_read_again_proves_nothing() {
    // DCE ends as if there were no more messages, while Discord lists none.
    let document = document();
    let channel = document.channel().attempt(Attempt::ends_after(5, Ending::Complete));
    let service = Service::start(&Scenario::new().channel(CHANNEL, channel)).await;
    let is_page = |request: &Request| request.parameter("limit") == Some("100");
    service.discord.fault(Fault::on(Route::messages(CHANNEL)).matching(is_page).empty_page());
    assert_proven(&service.export_channel(CHANNEL).await);
    assert_eq!(stored(&service.pool(), CHANNEL).await, document.messages());
    assert_eq!(failures(&service).await, [Some("output_short".to_owned()), None]);
}

#[tokio::test]
async fn a_message_that_appeared_late_is_read_before_discord_is_asked_again() {
    let document = document();
    let channel = document.channel().asks_discord(true);
    let service = Service::start(&Scenario::new().channel(CHANNEL, channel)).await;
    // DCE asks for the newest message, for a page and for the one after it.
    service.discord.appears_after(CHANNEL, (BEGINNING + 7_000) << 22, 3);
    let body = json!({ "channel_id": CHANNEL, "end_at": after_beginning(10) });
    assert_proven(&service.ended(&service.export(&body).await).await);
    assert_eq!(stored(&service.pool(), CHANNEL).await, document.messages());
    assert_eq!(failures(&service).await, [Some("output_short".to_owned()), None]);
}

#[tokio::test]
async fn an_attempt_that_read_nothing_marks_no_message_that_an_earlier_one_read() {
    let document = document();
    let service = Service::start(&Scenario::new().channel(CHANNEL, document.channel())).await;
    assert_proven(&service.export_channel(CHANNEL).await);
    let channel = document
        .channel()
        .attempt(Attempt::ends(Ending::Complete))
        .attempt(Attempt::ends_after(10, Ending::Dropped))
        .attempt(Attempt::ends(Ending::QuestionRefused));
    service.scenario.rewrite(&Scenario::new().channel(CHANNEL, channel));
    let body = json!({ "channel_id": CHANNEL, "on_conflict": "update" });
    assert_proven(&service.ended(&service.export(&body).await).await);
    let missing: i64 = sqlx::query_scalar("SELECT count(*) FROM messages WHERE missing_since IS NOT NULL")
        .fetch_one(&service.pool())
        .await
        .unwrap();
    assert_eq!(missing, 0);
}
