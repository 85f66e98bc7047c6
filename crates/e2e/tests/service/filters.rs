//! Exports with a filter: DCE reads everything, the worker drops what does not match, and every count says so.

use dce_core::ids::Snowflake;
use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::service::Service;
use serde_json::{Value, json};

use crate::archive::stored;
use crate::document::{CHANNEL, Document};

/// Adds a word to the text of these messages, counted from 0; returns their ids.
fn mark(document: &mut Document, numbers: &[usize]) -> Vec<String> {
    let edit = |number: &usize| document.edit(*number, "\"content\": \"", "\"content\": \"needle ");
    numbers.iter().map(edit).collect()
}

/// The run's cursor.
async fn cursor(service: &Service) -> Option<String> {
    sqlx::query_scalar("SELECT cursor_message_id FROM export_channels")
        .fetch_one(&service.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_rare_filter_over_dropped_connections_stores_its_matches_and_counts_the_rest() {
    const MESSAGES: usize = 50_000;
    const DROPS: usize = 5;
    const READ_PER_DROP: usize = 7000;
    let mut document = Document::generated(MESSAGES as u64);
    let matches = mark(&mut document, &[0, 24_321, MESSAGES - 2]);
    let drops = (0..DROPS).map(|_| Attempt::ends_after(READ_PER_DROP as u64, Ending::Dropped));
    let channel = drops.fold(document.channel(), Channel::attempt);
    let service = Service::start(&Scenario::new().channel(CHANNEL, channel)).await;
    let job_id = service.export(&json!({ "channel_id": CHANNEL, "filter": "NEEDLE ~from:nobody" })).await;
    let export = service.ended(&job_id).await;
    assert_eq!(
        [&export["status"], &export["message_count"], &export["inserted_count"], &export["filtered_count"]],
        [&json!("completed"), &json!(3), &json!(3), &json!(MESSAGES - 3)],
        "{export}"
    );
    assert!(export["verified_at"].is_string(), "Discord has nothing beyond what was read: {export}");
    let run = &export["runs"][0];
    assert_eq!(run["filtered_count"], MESSAGES - 3);
    assert_eq!((&run["first_message_id"], &run["last_message_id"]), (&json!(matches[0]), &json!(matches[2])));
    assert_eq!((&run["attempt"], &run["failures"]), (&json!(DROPS + 1), &json!(0)), "each made progress");
    for attempt in run["attempts"].as_array().unwrap().iter().take(DROPS) {
        assert_eq!(attempt["error_kind"], "discord_unavailable", "{attempt}");
    }
    assert_eq!(stored(&service.pool(), CHANNEL).await.into_keys().collect::<Vec<_>>(), matches);
    assert_eq!(cursor(&service).await, Some(document.id(MESSAGES - 1)), "the cursor is that of reading");

    // DCE reads without a filter, and a resume repeats nothing but the cursor's millisecond: one of its messages.
    let attempts = service.scenario.attempts_at(CHANNEL);
    assert_eq!(attempts.len(), DROPS + 1);
    for (number, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt.option("--filter"), None);
        let after = (number > 0).then(|| {
            let cursor: Snowflake = document.id(number * (READ_PER_DROP - 1)).parse().unwrap();
            cursor.first_of_millisecond().before().to_string()
        });
        assert_eq!(attempt.option("--after"), after.as_deref(), "attempt {number}");
    }
    let covered: Option<String> =
        sqlx::query_scalar("SELECT covered_to_id FROM channels").fetch_one(&service.pool()).await.unwrap();
    assert_eq!(covered, None, "a filtered export covers nothing");
}

#[tokio::test]
async fn an_exports_messages_are_its_matches_although_the_archive_has_more() {
    let mut document = Document::generated(500);
    let matches = mark(&mut document, &[100, 300]);
    let service = Service::start(&Scenario::new().channel(CHANNEL, document.channel())).await;
    assert_eq!(service.export_channel(CHANNEL).await["message_count"], 500);

    let job_id = service.export(&json!({ "channel_id": CHANNEL, "filter": "needle" })).await;
    let export = service.ended(&job_id).await;
    assert_eq!(
        [&export["message_count"], &export["inserted_count"], &export["filtered_count"]],
        [&json!(2), &json!(0), &json!(498)],
        "reading over what is archived matches, too: {export}"
    );
    let (_, page) = service.get(&format!("/exports/{job_id}/messages?fields=message_id")).await;
    let ids: Vec<&Value> =
        page["messages"].as_array().unwrap().iter().map(|message| &message["message_id"]).collect();
    assert_eq!(ids, matches.iter().collect::<Vec<_>>());
    assert_eq!(page["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_filter_without_matches_completes_and_has_neither_first_nor_last_message() {
    let document = Document::generated(300);
    let channel = document.channel().attempt(Attempt::ends_after(200, Ending::Dropped));
    let service = Service::start(&Scenario::new().channel(CHANNEL, channel)).await;
    let job_id = service.export(&json!({ "channel_id": CHANNEL, "filter": "from:nobody" })).await;
    let export = service.ended(&job_id).await;
    assert_eq!(
        [&export["status"], &export["message_count"], &export["filtered_count"], &export["warnings"]],
        [&json!("completed"), &json!(0), &json!(300), &json!([])],
        "{export}"
    );
    let run = &export["runs"][0];
    assert_eq!([&run["first_message_id"], &run["last_message_id"]], [&Value::Null; 2], "{run}");
    assert_eq!((&run["attempt"], &run["failures"]), (&json!(2), &json!(0)), "{run}");
    assert!(stored(&service.pool(), CHANNEL).await.is_empty());
    let (_, page) = service.get(&format!("/exports/{job_id}/messages")).await;
    assert_eq!(page, json!({ "messages": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_stored_filter_that_is_refused_today_fails_before_dce_starts() {
    let document = Document::generated(10);
    let mut service = Service::api_only(&Scenario::new().channel(CHANNEL, document.channel()), &[]).await;
    let job_id = service.export(&json!({ "channel_id": CHANNEL, "filter": "x" })).await;
    sqlx::query(r#"UPDATE exports SET options = options || '{"filter": "has:nonsense"}'"#)
        .execute(&service.pool())
        .await
        .unwrap();
    service.add_worker(&[]).await;
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["error"]["code"]), (&json!("failed"), &json!("invalid_filter")));
    assert!(export["error"]["detail"].as_str().unwrap().starts_with("column 5: `has:` must be"), "{export}");
    assert_eq!((&export["error"]["retryable"], &export["runs"][0]["attempt"]), (&json!(false), &json!(1)));
    assert!(service.scenario.attempts_at(CHANNEL).is_empty(), "DCE did not start");
}
