//! What may be read, and what there is: empty channels and windows, withheld histories, forbidden channels.

use chrono::{SecondsFormat, TimeDelta};
use dce_standin::scenario::DceVersion;
use dce_standin::snowflake::Snowflake;
use dce_testkit::discord::{Fault, Request, Route};
use dce_testkit::service::Service;
use serde_json::{Value, json};

use crate::proof_service::{
    archived, asking, assert_archived, assert_failed, assert_proven, export, export_all, hasty, is_page,
    is_proof, is_question, on, start,
};

const CHANNEL: &str = "7001";

async fn serve(messages: u64, change: impl FnOnce(&Service)) -> Service {
    start(&hasty(DceVersion::V2_48).channel(CHANNEL, asking(messages)), "1", change).await
}

/// The time of a message, and a moment after it.
fn time(id: u64, later_ms: i64) -> String {
    let time = Snowflake(id).date() + TimeDelta::milliseconds(later_ms);
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn newest(export: &Value) -> Option<u64> {
    export["runs"][0]["verified_newest_id"].as_str().map(|id| id.parse().unwrap())
}

#[tokio::test]
async fn forbidden_messages_are_missing_access_of_both_versions() {
    for version in [DceVersion::V2_48, DceVersion::V2_47] {
        let scenario = hasty(version).channel(CHANNEL, asking(50));
        let service = start(&scenario, "1", |service| service.discord.forbid_messages(CHANNEL, true)).await;
        let failed = export_all(&service, CHANNEL).await;
        assert_failed(&failed, "missing_access");
        assert!(archived(&service, CHANNEL).await.is_empty());
    }
}

#[tokio::test]
async fn an_empty_channel_is_proven_empty() {
    let service = serve(0, |_| ()).await;
    let export = export_all(&service, CHANNEL).await;
    assert_proven(&export);
    assert_eq!((&export["message_count"], newest(&export)), (&0.into(), None));
}

#[tokio::test]
async fn an_empty_window_is_proven_by_an_older_message() {
    let service = serve(50, |_| ()).await;
    let listed = service.discord.message_ids(CHANNEL);
    let after_all = export(&service, CHANNEL, json!({ "start_at": time(listed[49], 1) })).await;
    assert_proven(&after_all);
    assert_eq!((&after_all["message_count"], newest(&after_all)), (&0.into(), Some(listed[49])));
    let before_all = export(&service, CHANNEL, json!({ "end_at": time(listed[0], -1) })).await;
    assert_proven(&before_all);
    assert_eq!((&before_all["message_count"], newest(&before_all)), (&0.into(), None));
    let between = json!({ "start_at": time(listed[20], 1), "end_at": time(listed[20], 2) });
    let between = export(&service, CHANNEL, between).await;
    assert_proven(&between);
    assert_eq!((&between["message_count"], newest(&between)), (&0.into(), Some(listed[20])));
}

#[tokio::test]
async fn a_window_whose_last_message_was_deleted_is_proven() {
    let service = serve(50, |_| ()).await;
    let listed = service.discord.message_ids(CHANNEL);
    service.discord.delete(CHANNEL, listed[40]);
    let window = export(&service, CHANNEL, json!({ "end_at": time(listed[40], 1) })).await;
    assert_proven(&window);
    assert_eq!((&window["message_count"], newest(&window)), (&40.into(), Some(listed[39])));
    // Discord does not take back `last_message_id`.
    service.discord.delete(CHANNEL, listed[49]);
    let whole = export_all(&service, CHANNEL).await;
    assert_proven(&whole);
    assert_archived(&service, CHANNEL).await;
}

#[tokio::test]
async fn a_channel_all_of_whose_messages_were_deleted_is_proven() {
    let service = serve(30, |_| ()).await;
    let full = export_all(&service, CHANNEL).await;
    assert_proven(&full);
    service.discord.delete_all(CHANNEL);
    let emptied = export(&service, CHANNEL, json!({ "on_conflict": "update" })).await;
    assert_proven(&emptied);
    assert!(archived(&service, CHANNEL).await.is_empty(), "all are marked as missing");
}

#[tokio::test]
async fn a_hidden_history_is_no_empty_channel() {
    for version in [DceVersion::V2_48, DceVersion::V2_47] {
        let scenario = hasty(version).channel(CHANNEL, asking(50));
        let service = start(&scenario, "1", |service| service.discord.hide_history(CHANNEL, true)).await;
        let hidden = export_all(&service, CHANNEL).await;
        assert_failed(&hidden, "history_hidden");
        service.discord.hide_history(CHANNEL, false);
        let shown = export_all(&service, CHANNEL).await;
        assert_proven(&shown);
        assert_archived(&service, CHANNEL).await;
    }
}

/// The history is hidden from the fourth page on: DCE ends there, and so do all later questions.
fn hide_from_page_four(service: &Service) {
    let is_later =
        |request: &Request| is_page(request) || is_proof(request) || request.parameter("limit").is_none();
    let messages = Route::messages(CHANNEL);
    service.discord.fault(Fault::on(messages).matching(is_later).nth(4).always().empty_page());
    let single =
        |request: &Request| matches!(&request.route, Route::Message { channel, .. } if channel == CHANNEL);
    service.discord.fault(Fault::anywhere().matching(single).always().status(403));
    // Without a bound too, once DCE has asked its question.
    service.discord.fault(on(CHANNEL, is_question).nth(2).always().empty_page());
}

#[tokio::test]
async fn a_history_that_is_withdrawn_during_a_run_does_not_complete_it() {
    let service = serve(1_000, hide_from_page_four).await;
    let cut = export_all(&service, CHANNEL).await;
    assert_failed(&cut, "history_hidden");
    assert_eq!(archived(&service, CHANNEL).await.len(), 300, "what was read stays");
    service.discord.clear_faults();
    let whole = export_all(&service, CHANNEL).await;
    assert_proven(&whole);
    assert_archived(&service, CHANNEL).await;
}

#[tokio::test]
async fn a_history_that_is_withdrawn_during_an_update_marks_nothing_as_missing() {
    let service = serve(1_000, |_| ()).await;
    assert_proven(&export_all(&service, CHANNEL).await);
    hide_from_page_four(&service);
    let cut = export(&service, CHANNEL, json!({ "on_conflict": "update" })).await;
    assert_failed(&cut, "history_hidden");
    assert_archived(&service, CHANNEL).await;
}
