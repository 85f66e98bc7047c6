//! `on_conflict: "update"` replaces messages that have changed and touches no others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::archive::stored;
use crate::document::{CHANNEL, Document};

/// Exports the document; returns the service with its archive.
async fn archived(document: &Document) -> Service {
    let service = Service::start(&Scenario::new()).await;
    let export = export(&service, document, &json!({})).await;
    assert_counts(&export, document.len(), document.len(), 0);
    service
}

/// Exports the current document with these options and waits for the end.
async fn export(service: &Service, document: &Document, options: &Value) -> Value {
    export_of(service, document.channel(), options).await
}

async fn export_of(service: &Service, channel: Channel, options: &Value) -> Value {
    service.scenario.rewrite(&Scenario::new().channel(CHANNEL, channel));
    let job_id = service.export(&with(options)).await;
    service.ended(&job_id).await
}

/// The document's channel, after one scripted attempt.
fn after_archiving(document: &Document) -> Channel {
    document.channel().attempt(Attempt::ends(Ending::Complete))
}

fn with(options: &Value) -> Value {
    let mut body = json!({ "channel_id": CHANNEL });
    for (name, value) in options.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn update() -> Value {
    json!({ "on_conflict": "update" })
}

fn assert_counts(export: &Value, messages: usize, inserted: usize, updated: usize) {
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    let counts = ["message_count", "inserted_count", "updated_count"].map(|name| export[name].clone());
    assert_eq!(counts, [messages, inserted, updated].map(Value::from), "{export}");
}

/// The physical location and transaction of every row, which change when a row is written.
async fn rows(pool: &PgPool) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT message_id, ctid::text || ' ' || xmin FROM messages")
            .fetch_all(pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// The ids of rows that were written since.
fn touched(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeSet<String> {
    after.iter().filter(|(id, row)| before.get(*id) != Some(row)).map(|(id, _)| id.clone()).collect()
}

/// The ids of messages marked as missing.
async fn missing(pool: &PgPool) -> BTreeSet<String> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT message_id FROM messages WHERE missing_since IS NOT NULL")
            .fetch_all(pool)
            .await
            .unwrap();
    ids.into_iter().collect()
}

#[tokio::test]
async fn an_update_replaces_changed_rows_and_no_others() {
    let before = Document::generated(3000);
    let service = archived(&before).await;
    let rows_before = rows(&service.pool()).await;

    let mut after = before.clone();
    // Properties of display only.
    let signed = after.edit_all("?ex=", "?ex=f");
    let avatars = after.edit_all("/avatars/", "/avatars/today/");
    assert!(signed > 100 && avatars >= 3000, "{signed} signed URLs, {avatars} avatars");
    // Content.
    let mut changed = BTreeSet::new();
    for number in [0, 1, 777, 2999] {
        changed.insert(after.edit(number, "\"content\": \"", "\"content\": \"edited: "));
    }
    changed.insert(after.edit(5, "\"isPinned\": false", "\"isPinned\": true"));
    let reactions = after.numbers_with("\"count\": ");
    for number in &reactions[10..13] {
        changed.insert(after.edit(*number, "\"count\": ", "\"count\": 9"));
    }
    let files = after.numbers_with("/picture.png?");
    changed.insert(after.edit(files[3], "/picture.png?", "/other.png?"));
    let embeds = after.numbers_with("\"fields\": []");
    changed.insert(after.edit(embeds[0], "\"width\": 1280", "\"width\": 640"));
    assert!(changed.len() >= 7, "{changed:?}");

    let export = export(&service, &after, &update()).await;
    assert_counts(&export, 3000, 0, changed.len());
    assert_eq!(touched(&rows_before, &rows(&service.pool()).await), changed);
    let stored = stored(&service.pool(), CHANNEL).await; // compares the columns with `raw`
    let (old, new) = (before.messages(), after.messages());
    for (id, message) in &stored {
        assert_eq!(message, if changed.contains(id) { &new[id] } else { &old[id] }, "{id}");
    }

    let rows_after = rows(&service.pool()).await;
    let again = self::export(&service, &after, &update()).await;
    assert_counts(&again, 3000, 0, 0);
    assert_eq!(rows(&service.pool()).await, rows_after, "there is nothing left to do");
}

#[tokio::test]
async fn an_export_replaces_nothing_by_default() {
    let before = Document::generated(300);
    let service = archived(&before).await;
    let rows_before = rows(&service.pool()).await;
    let mut after = before.clone();
    after.edit(7, "\"content\": \"", "\"content\": \"edited: ");
    after.remove(9);
    for options in [json!({}), json!({ "on_conflict": "ignore" })] {
        let export = export(&service, &after, &options).await;
        assert_counts(&export, 299, 0, 0);
    }
    assert_eq!(rows(&service.pool()).await, rows_before);
    assert!(missing(&service.pool()).await.is_empty());
}

#[tokio::test]
async fn an_export_of_archived_messages_writes_no_row() {
    let document = Document::generated(5000);
    let mut service = archived(&document).await;
    let before = rows(&service.pool()).await;
    let exports =
        [export(&service, &document, &json!({})).await, export(&service, &document, &update()).await];
    for export in exports {
        assert_counts(&export, 5000, 0, 0);
        let run = &export["runs"][0];
        assert_eq!(run["last_message_id"], *before.keys().next_back().unwrap());
    }
    assert_eq!(rows(&service.pool()).await, before);
    // Sessions report their statistics when they end.
    service.workers.clear();
    let reported = async || {
        let (inserted, written, dead): (i64, i64, i64) = sqlx::query_as(
            "SELECT n_tup_ins, n_tup_upd + n_tup_del, n_dead_tup FROM pg_stat_user_tables WHERE relname = 'messages'",
        )
        .fetch_one(&service.pool())
        .await
        .unwrap();
        let sessions: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                                                     AND application_name NOT IN ('dce-api', '')",
        )
        .fetch_one(&service.pool())
        .await
        .unwrap();
        (sessions == 0 && inserted == 5000).then_some((written, dead))
    };
    assert_eq!(eventually(Duration::from_secs(30), "the sessions have ended", reported).await, (0, 0));
}

#[tokio::test]
async fn new_messages_are_inserted_beside_changed_ones() {
    let whole = Document::generated(2500);
    let mut part = whole.clone();
    for number in [2499, 2498, 1200, 1199, 3] {
        part.remove(number);
    }
    let service = archived(&part).await;
    let mut after = whole.clone();
    let changed =
        BTreeSet::from([0, 1198, 2000].map(|n| after.edit(n, "\"content\": \"", "\"content\": \"!")));
    let before = rows(&service.pool()).await;
    let export = export(&service, &after, &update()).await;
    assert_counts(&export, 2500, 5, 3);
    let now = rows(&service.pool()).await;
    let new: BTreeSet<String> = now.keys().filter(|id| !before.contains_key(*id)).cloned().collect();
    assert_eq!(new.len(), 5);
    assert_eq!(touched(&before, &now), &new | &changed);
    assert_eq!(stored(&service.pool(), CHANNEL).await.len(), 2500);
    let archived: i64 =
        sqlx::query_scalar("SELECT archived_count FROM channels").fetch_one(&service.pool()).await.unwrap();
    assert_eq!(archived, 2500);
}

#[tokio::test]
async fn messages_of_a_newer_export_are_not_replaced_by_an_older_one() {
    let before = Document::generated(200);
    let service = archived(&before).await;
    // As if an export of tomorrow had written half of the rows.
    sqlx::query("UPDATE messages SET exported_at = exported_at + interval '1 day' WHERE message_id <= $1")
        .bind(before.id(99))
        .execute(&service.pool())
        .await
        .unwrap();
    let rows_before = rows(&service.pool()).await;
    let mut after = before.clone();
    let edited: Vec<String> =
        [10, 99, 100, 150].map(|n| after.edit(n, "\"content\": \"", "\"content\": \"!")).into();
    after.remove(50);
    let gone = after.remove(120);
    let export = export(&service, &after, &update()).await;
    assert_counts(&export, 198, 0, 2);
    assert_eq!(missing(&service.pool()).await, BTreeSet::from([gone.clone()]));
    let expected = BTreeSet::from([edited[2].clone(), edited[3].clone(), gone]);
    assert_eq!(touched(&rows_before, &rows(&service.pool()).await), expected);
}

#[tokio::test]
async fn versions_are_kept_on_request() {
    let first = Document::generated(100);
    let service = archived(&first).await;
    let versions = async || -> Vec<(String, Value, bool)> {
        sqlx::query_as(
            "SELECT v.message_id, v.raw, v.exported_at < m.exported_at AND v.job_id IS NOT NULL
               FROM message_versions v JOIN messages m USING (channel_id, message_id) ORDER BY v.replaced_at",
        )
        .fetch_all(&service.pool())
        .await
        .unwrap()
    };
    let mut second = first.clone();
    second.edit(3, "\"content\": \"", "\"content\": \"second ");
    assert_counts(&export(&service, &second, &update()).await, 100, 0, 1);
    assert!(versions().await.is_empty(), "they were not asked for");

    let keeping = json!({ "on_conflict": "update", "keep_versions": true });
    let mut third = second.clone();
    let ids = [3, 4].map(|number| third.edit(number, "\"content\": \"", "\"content\": \"third "));
    let replacing = export(&service, &third, &keeping).await;
    assert_counts(&replacing, 100, 0, 2);
    let mut fourth = third.clone();
    fourth.edit(3, "\"content\": \"", "\"content\": \"fourth ");
    assert_counts(&export(&service, &fourth, &keeping).await, 100, 0, 1);
    let mut kept = versions().await;
    kept[..2].sort_by(|one, other| one.0.cmp(&other.0)); // of one transaction
    let expected = [(&ids[0], &second), (&ids[1], &second), (&ids[0], &third)];
    for ((id, raw, is_sound), (expected, from)) in kept.iter().zip(expected) {
        assert_eq!((id, raw, is_sound), (expected, &from.messages()[expected], &true));
    }
    assert_eq!(kept.len(), 3);
    let by: i64 = sqlx::query_scalar("SELECT count(*) FROM message_versions WHERE job_id = $1::uuid")
        .bind(replacing["job_id"].as_str())
        .fetch_one(&service.pool())
        .await
        .unwrap();
    assert_eq!(by, 2, "each names the export that replaced it");
}

#[tokio::test]
async fn deleted_messages_are_marked_and_returning_ones_are_unmarked() {
    let whole = Document::generated(3000);
    let service = archived(&whole).await;
    let before = rows(&service.pool()).await;
    let mut left = whole.clone();
    let gone = BTreeSet::from([2999, 2998, 1500, 1499, 1, 0].map(|number| left.remove(number)));
    assert_counts(&export(&service, &left, &update()).await, 2994, 0, 0);
    assert_eq!(missing(&service.pool()).await, gone);
    let marked = rows(&service.pool()).await;
    assert_eq!(touched(&before, &marked), gone, "nothing else is written");
    assert_counts(&export(&service, &left, &update()).await, 2994, 0, 0);
    assert_eq!(rows(&service.pool()).await, marked, "a mark is written once");

    assert_counts(&export(&service, &whole, &update()).await, 3000, 0, 0);
    assert!(missing(&service.pool()).await.is_empty());
    assert_eq!(touched(&marked, &rows(&service.pool()).await), gone);
}

#[tokio::test]
async fn only_messages_in_the_window_of_an_unfiltered_export_are_marked() {
    let whole = Document::generated(1000);
    let service = archived(&whole).await;
    let mut left = whole.clone();
    let [outside_above, inside, outside_below] = [900, 500, 100].map(|number| left.remove(number));
    let filtered = json!({ "on_conflict": "update", "filter": "has:image" });
    assert_eq!(export(&service, &left, &filtered).await["status"], "completed");
    assert!(missing(&service.pool()).await.is_empty(), "a filter leaves out what is there");

    let window = json!({ "on_conflict": "update", "start_at": whole.time(300), "end_at": whole.time(700) });
    assert_eq!(export(&service, &left, &window).await["status"], "completed");
    assert_eq!(missing(&service.pool()).await, BTreeSet::from([inside.clone()]));
    assert_eq!(export(&service, &left, &update()).await["status"], "completed");
    assert_eq!(missing(&service.pool()).await, BTreeSet::from([outside_above, inside, outside_below]));
}

#[tokio::test]
async fn an_empty_document_marks_only_if_discord_confirms_it() {
    let document = Document::generated(50);
    let service = archived(&document).await;
    // DCE 2.48 takes a refused first question for an empty channel.
    let silent = after_archiving(&document).attempt(Attempt::ends_after(0, Ending::Complete));
    let export = export_of(&service, silent, &update()).await;
    assert_counts(&export, 50, 0, 0);
    assert_eq!(export["runs"][0]["attempt"], 2, "{export}");
    assert!(missing(&service.pool()).await.is_empty());

    let mut emptied = document.clone();
    (0..50).rev().for_each(|number| drop(emptied.remove(number)));
    assert_counts(&self::export(&service, &emptied, &update()).await, 0, 0, 0);
    assert_eq!(missing(&service.pool()).await.len(), 50);
}

#[tokio::test]
async fn resumed_attempts_find_deleted_messages_too() {
    let whole = Document::generated(600);
    let service = archived(&whole).await;
    let mut left = whole.clone();
    let gone = BTreeSet::from([599, 301, 300, 299, 150, 0].map(|number| left.remove(number)));
    let changed = [10, 298, 299, 500].map(|number| left.edit(number, "\"content\": \"", "\"content\": \"!"));
    let channel = after_archiving(&left)
        .attempt(Attempt::ends_after(298, Ending::Dropped))
        .attempt(Attempt::ends_after(1, Ending::CutInside));
    let export = export_of(&service, channel, &update()).await;
    assert_counts(&export, 594, 0, changed.len());
    assert_eq!(export["runs"][0]["attempt"], 3);
    assert_eq!(missing(&service.pool()).await, gone);
}

#[tokio::test]
async fn counts_are_right_after_a_killed_worker() {
    let whole = Document::generated(3000);
    let mut part = whole.clone();
    let unknown: Vec<String> = (0..30).rev().map(|n| part.remove(n * 100 + 50)).collect();
    let mut service = archived(&part).await;
    let mut after = whole.clone();
    let changed: Vec<String> =
        (0..60).map(|n| after.edit(n * 50 + 3, "\"content\": \"", "\"content\": \"!")).collect();
    let gone = after.remove(2777);
    let slow = after.channel().rate(600);
    service.scenario.rewrite(&Scenario::new().channel(CHANNEL, slow));
    let keeping = json!({ "on_conflict": "update", "keep_versions": true });
    let job_id = service.export(&with(&keeping)).await;
    let some_are_updated = |export: &Value| export["updated_count"].as_i64() > Some(10);
    service.when(&job_id, "some are replaced", some_are_updated).await;
    service.workers.clear(); // SIGKILL
    service.add_worker(&[]).await;
    let export = service.ended(&job_id).await;
    assert_counts(&export, 2999, unknown.len(), changed.len());
    assert_eq!(export["runs"][0]["attempt"], 2, "{export}");
    assert_eq!(missing(&service.pool()).await, BTreeSet::from([gone]));
    let versions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM message_versions").fetch_one(&service.pool()).await.unwrap();
    assert_eq!(versions, 60, "one for each message that was replaced");
    let stored = stored(&service.pool(), CHANNEL).await;
    let new = after.messages();
    assert!(changed.iter().all(|id| stored[id] == new[id]));
}
