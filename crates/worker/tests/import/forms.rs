//! The forms of existing exports: indented, compact, gzipped, in parts, in archives.

use std::collections::BTreeMap;
use std::fs;

use dce_testkit::database::TestDatabase;
use sqlx::Row;
use tempfile::tempdir;

use crate::support::{Run, archive, archived, document, expected, gzipped, import, indented, runs};

#[tokio::test]
async fn every_form_of_an_export_yields_the_same_messages() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("deep/er")).unwrap();
    fs::write(at("indented.json"), indented(&document(1, 1..=20))).unwrap();
    fs::write(at("deep/er/compact.json"), document(2, 1..=20).to_string()).unwrap();
    fs::write(at("packed.json.gz"), gzipped(&indented(&document(3, 1..=20)))).unwrap();
    fs::write(at("reversed.json"), indented(&document(4, (1..=20).rev()))).unwrap();
    let mut uncounted = document(5, 1..=20);
    uncounted.as_object_mut().unwrap().remove("messageCount");
    fs::write(at("uncounted.JSON"), uncounted.to_string()).unwrap();
    fs::write(at("parts.json"), indented(&document(6, 1..=8))).unwrap();
    fs::write(at("parts [part 2].json"), indented(&document(6, 9..=16))).unwrap();
    fs::write(at("parts [part 10].json"), indented(&document(6, 17..=20))).unwrap();
    // Two overlapping files of one channel.
    fs::write(at("once.json"), indented(&document(7, 1..=15))).unwrap();
    fs::write(at("twice.json"), indented(&document(7, 10..=20))).unwrap();
    let members = [
        ("a/deflated.json", indented(&document(8, 1..=20)).into_bytes()),
        ("a/stored.json", document(9, 1..=20).to_string().into_bytes()),
        ("a/packed.json.gz", gzipped(&document(10, 1..=20).to_string())),
        ("b/parts.json", indented(&document(11, 1..=12)).into_bytes()),
        ("b/parts [part 2].json", indented(&document(11, 13..=20)).into_bytes()),
        ("b/picture.png", b"\x89PNG".to_vec()),
        ("b/parts.json_Files/attachment.json", b"{}".to_vec()),
    ];
    archive(&at("all.zip"), &members.each_ref().map(|(name, bytes)| (*name, bytes.as_slice())));

    let database = TestDatabase::create().await;
    let imported = import(&database.url(), &[folder.path()]).await;
    assert_eq!(imported.code, Some(0), "{:#?}", imported.lines);
    let all: BTreeMap<_, _> = (1..=11).flat_map(|channel| expected(channel, 1..=20)).collect();
    assert_eq!(archived(&database.pool()).await, all);

    let found = runs(&database).await;
    let run = |name: &str| &found[&format!("{}/{name}", folder.path().display())];
    assert_eq!(found.len(), 11 + 1, "parts form one run, overlapping files two");
    assert_eq!(run("parts.json"), &Run::completed(20, 20));
    assert_eq!(run("all.zip!/b/parts.json"), &Run::completed(20, 20));
    assert_eq!((run("once.json"), run("twice.json")), (&Run::completed(15, 15), &Run::completed(11, 5)));
    assert!(imported.says("parts.json", "part 3 is missing"), "{:#?}", imported.lines);
    assert!(imported.says("2 other files", "ignored"), "{:#?}", imported.lines);

    let row = sqlx::query(
        "SELECT first_message_id, last_message_id FROM export_channels WHERE source LIKE '%reversed.json'",
    )
    .fetch_one(&database.pool())
    .await
    .unwrap();
    assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), ("1", "20"));

    let again = import(&database.url(), &[folder.path()]).await;
    assert_eq!(again.code, Some(0));
    assert!(runs(&database).await.values().all(|run| run.status == "completed" && run.inserted == 0));
    assert_eq!(archived(&database.pool()).await, all);
}

#[tokio::test]
async fn all_messages_of_many_batches_are_counted() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("x.json");
    let ids = || (1..=6000_u64).map(|n| (n * 7919) % 6007 + 1); // each once, far from sorted
    fs::write(&file, indented(&document(1, ids()))).unwrap();
    let database = TestDatabase::create().await;
    let imported = import(&database.url(), &[&file]).await;
    assert_eq!(imported.code, Some(0), "{:#?}", imported.lines);
    assert_eq!(runs(&database).await.into_values().collect::<Vec<_>>(), [Run::completed(6000, 6000)]);
    assert_eq!(archived(&database.pool()).await, expected(1, ids()));
    let row = sqlx::query("SELECT first_message_id, archived_count, covered_to_id FROM export_channels JOIN channels USING (channel_id)")
        .fetch_one(&database.pool())
        .await
        .unwrap();
    assert_eq!(row.get::<&str, _>(0), ids().min().unwrap().to_string());
    assert_eq!(row.get::<i64, _>(1), 6000);
    assert_eq!(row.get::<Option<&str>, _>(2), None, "nobody knows whether a file has gaps");
}

#[tokio::test]
async fn a_file_fills_in_missing_facts_of_its_channel_and_replaces_none() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("old.json");
    fs::write(&file, document(1, 1..=3).to_string()).unwrap();
    let database = TestDatabase::create().await;
    sqlx::query("INSERT INTO channels (channel_id, name, archived_count) VALUES ('1', 'its name today', 7)")
        .execute(&database.pool())
        .await
        .unwrap();
    assert_eq!(import(&database.url(), &[&file]).await.code, Some(0));
    let row = sqlx::query("SELECT name, guild_name, archived_count FROM channels")
        .fetch_one(&database.pool())
        .await
        .unwrap();
    assert_eq!(
        (row.get::<&str, _>(0), row.get::<&str, _>(1), row.get::<i64, _>(2)),
        ("its name today", "G", 10)
    );
}
