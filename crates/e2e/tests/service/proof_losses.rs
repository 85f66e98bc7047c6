//! What DCE loses without a word, row by row: no run completes without it.

use std::collections::BTreeSet;

use dce_standin::scenario::{Channel, DceVersion, Scenario};
use dce_standin::snowflake::Snowflake;
use dce_testkit::discord::{Post, Request};
use dce_testkit::service::Service;
use serde_json::{Value, json};

use crate::proof_service::{
    archived, asking, assert_archived, assert_failed, assert_proven, export, export_all, hasty, id_now,
    is_page, on, proofs, start,
};

const CHANNEL: &str = "7001";
const PARENT: &str = "7000";

async fn serve(version: DceVersion, messages: u64) -> Service {
    start(&hasty(version).channel(CHANNEL, asking(messages)), "3", |_| ()).await
}

fn attempts(service: &Service) -> usize {
    service.scenario.attempts_at(CHANNEL).len()
}

#[tokio::test]
async fn a_usual_run_costs_one_question() {
    let service = serve(DceVersion::V2_48, 300).await;
    let export = export_all(&service, CHANNEL).await;
    assert_proven(&export);
    let newest = service.discord.message_ids(CHANNEL)[299].to_string();
    let run = &export["runs"][0];
    assert_eq!((&run["verified_newest_id"], proofs(&service, CHANNEL)), (&newest.into(), 1), "{run}");
    assert_archived(&service, CHANNEL).await;
}

#[tokio::test]
async fn an_empty_page_ends_an_attempt_and_not_the_run() {
    for version in [DceVersion::V2_48, DceVersion::V2_47] {
        let service = serve(version, 1_000).await;
        service.discord.fault(on(CHANNEL, is_page).nth(4).empty_page());
        let export = export_all(&service, CHANNEL).await;
        assert_proven(&export);
        assert_archived(&service, CHANNEL).await;
        assert_eq!(attempts(&service), 2);
    }
}

#[tokio::test]
async fn a_message_that_becomes_visible_late_is_read() {
    let service = serve(DceVersion::V2_48, 0).await;
    // Posted just now: late ids are looked for in the last minute before the bound.
    let first = id_now(-5_000);
    let ids: Vec<_> = (0..300).map(|number| first + (number << 22)).collect();
    for id in &ids {
        service.discord.post(CHANNEL, Post::new(*id));
    }
    // Hidden from DCE's question, its pages and the empty one that ends them.
    service.discord.appears_after(CHANNEL, ids[298], 5);
    let export = export_all(&service, CHANNEL).await;
    assert_proven(&export);
    assert_archived(&service, CHANNEL).await;
    assert_eq!((&export["message_count"], attempts(&service)), (&300.into(), 2));
}

/// Two attempts in a row that bring nothing more are final.
fn assert_short(failed: &Value, cursor: Option<u64>, newest: u64) {
    assert_failed(failed, "output_short");
    let detail = failed["error"].to_string();
    assert!(detail.contains(&newest.to_string()), "{detail}");
    if let Some(cursor) = cursor {
        assert!(detail.contains(&cursor.to_string()), "{detail}");
    }
}

#[tokio::test]
async fn a_channel_whose_last_message_id_is_wrong_is_not_taken_for_empty() {
    let service = serve(DceVersion::V2_48, 300).await;
    let listed = service.discord.message_ids(CHANNEL);
    service.discord.set_last_message_id(CHANNEL, None);
    let failed = export_all(&service, CHANNEL).await;
    assert_short(&failed, None, listed[299]);
    assert_eq!(attempts(&service), 2);

    // Over a full archive nothing is marked as missing.
    service.discord.set_last_message_id(CHANNEL, Some(listed[299]));
    assert_proven(&export_all(&service, CHANNEL).await);
    service.discord.set_last_message_id(CHANNEL, None);
    let failed = export(&service, CHANNEL, json!({ "on_conflict": "update" })).await;
    assert_failed(&failed, "output_short");
    assert_archived(&service, CHANNEL).await;
}

#[tokio::test]
async fn a_message_later_than_the_last_one_does_not_end_a_run() {
    let service = serve(DceVersion::V2_48, 1_000).await;
    let listed = service.discord.message_ids(CHANNEL);
    let later = Snowflake(listed[999]).date() + chrono::TimeDelta::seconds(1);
    service.discord.post(CHANNEL, Post::new(listed[450]).timestamp(later));
    let failed = export_all(&service, CHANNEL).await;
    assert_short(&failed, Some(listed[449]), listed[999]);
    assert_eq!(archived(&service, CHANNEL).await.len(), 450);
}

/// What stays open: DCE asks for what follows the last message of a page as listed, and no question shows the other one.
#[tokio::test]
async fn a_message_listed_after_a_higher_id_across_the_edge_of_a_page_is_lost() {
    let service = serve(DceVersion::V2_48, 99).await;
    let listed = service.discord.message_ids(CHANNEL);
    let first = listed[98] + (60_000 << 22);
    let (lower, higher, last) = (first, first + 1, first + (3_600_000 << 22));
    for id in [lower, higher, last] {
        service.discord.post(CHANNEL, Post::new(id));
    }
    service.discord.list_in_order(CHANNEL, &[higher, lower]);
    assert_proven(&export_all(&service, CHANNEL).await);
    let archived = archived(&service, CHANNEL).await;
    assert_eq!((archived.len(), archived.contains(&lower)), (101, false));
}

/// The message that a thread was begun from; the thread has its id.
const STARTER: u64 = 1_257_995_922_147_640_794;
/// The thread's first message, a minute later.
const PLACEHOLDER: u64 = STARTER + (60_000 << 22);

fn thread_and_parent(version: DceVersion) -> Scenario {
    let empty = || Channel::generated(0, 1).asks_discord(true);
    hasty(version).channel(PARENT, empty()).channel(STARTER.to_string(), empty())
}

async fn serve_thread() -> (Service, String) {
    let service = start(&thread_and_parent(DceVersion::V2_48), "1", |_| ()).await;
    let thread = STARTER.to_string();
    service.discord.post(PARENT, Post::new(STARTER));
    service.discord.post(&thread, Post::new(PLACEHOLDER).thread_starter(PARENT, STARTER));
    (service, thread)
}

#[tokio::test]
async fn a_starter_that_is_refused_once_costs_its_content_only() {
    let (service, thread) = serve_thread().await;
    let last = PLACEHOLDER + (60_000 << 22);
    service.discord.post(&thread, Post::new(last));
    let around = |request: &Request| request.parameter("around").is_some();
    service.discord.fault(on(PARENT, around).status(400));
    assert_proven(&export_all(&service, &thread).await);
    assert_eq!(archived(&service, &thread).await, BTreeSet::from([PLACEHOLDER, last]));

    // The next export has the starter instead; the placeholder is not gone.
    assert_proven(&export(&service, &thread, json!({ "on_conflict": "update" })).await);
    assert_eq!(archived(&service, &thread).await, BTreeSet::from([STARTER, PLACEHOLDER, last]));
}

#[tokio::test]
async fn a_thread_of_nothing_but_its_placeholder_is_proven_by_both_versions_in_turn() {
    let (service, thread) = serve_thread().await;
    for (version, rows) in [
        (DceVersion::V2_48, vec![STARTER]),
        (DceVersion::V2_47, vec![STARTER, PLACEHOLDER]),
        (DceVersion::V2_48, vec![STARTER, PLACEHOLDER]),
    ] {
        service.scenario.rewrite(&thread_and_parent(version));
        assert_proven(&export(&service, &thread, json!({ "on_conflict": "update" })).await);
        assert_eq!(archived(&service, &thread).await, BTreeSet::from_iter(rows), "{version:?}");
    }
}
