//! `--on-conflict update`: the newest document wins, in whatever order the documents are imported.

use std::collections::BTreeMap;
use std::fs;

use dce_testkit::database::TestDatabase;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::support::{archived, document, ended, expected, import, message, start};

const CHANNEL: u64 = 1;

/// The document as exported at this time, with these contents of messages.
fn state(exported_at: &str, contents: &[(usize, &str)]) -> String {
    let mut document = document(CHANNEL, 1..=20);
    document["exportedAt"] = exported_at.into();
    for (at, content) in contents {
        document["messages"][*at]["content"] = (*content).into();
    }
    document.to_string()
}

#[tokio::test]
async fn the_newest_document_wins_and_keep_versions_keeps_the_replaced_messages() {
    let folder = tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let first = file("a.json", state("2024-08-01T00:00:00+00:00", &[]));
    let newest = file("b.json", state("2024-08-03T00:00:00+00:00", &[(3, "newest"), (4, "newest")]));
    let between = file("c.json", state("2024-08-02T00:00:00+00:00", &[(4, "between"), (5, "between")]));
    let all_with = |changed: &[(u64, &str)]| {
        let mut all = expected(CHANNEL, 1..=20);
        for (id, content) in changed {
            all.get_mut(&(CHANNEL, *id)).unwrap()["content"] = (*content).into();
        }
        all
    };

    let database = TestDatabase::create().await;
    let pool = database.pool();
    assert_eq!(import(&database.url(), &[&first]).await.code, Some(0));
    let plain = import(&database.url(), &[&newest]).await;
    assert!(
        plain.says("b.json", "20 messages, 0 new") && !plain.says("b.json", "updated"),
        "{:#?}",
        plain.lines
    );
    assert_eq!(archived(&pool).await, all_with(&[]), "by default nothing is replaced");

    let arguments =
        ["--on-conflict", "update", "--keep-versions", newest.to_str().unwrap(), between.to_str().unwrap()];
    let updated = ended(start(&database.url(), &arguments)).await;
    assert_eq!(updated.code, Some(0), "{:#?}", updated.lines);
    assert!(updated.says("b.json", "20 messages, 0 new, 2 updated"), "{:#?}", updated.lines);
    assert!(updated.says("c.json", "20 messages, 0 new, 1 updated"), "{:#?}", updated.lines);
    assert_eq!(archived(&pool).await, all_with(&[(4, "newest"), (5, "newest"), (6, "between")]));

    let versions: Vec<(String, Value)> =
        sqlx::query_as("SELECT message_id, raw FROM message_versions").fetch_all(&pool).await.unwrap();
    let versions: BTreeMap<_, _> = versions.into_iter().collect();
    let originals = [4, 5, 6].map(|id: u64| (id.to_string(), message(id)));
    assert_eq!(versions, originals.into());
    let (options, counted): (Value, i64) =
        sqlx::query_as("SELECT options, updated_count FROM exports ORDER BY created_at DESC LIMIT 1")
            .fetch_one(&pool)
            .await
            .unwrap();
    let expected = json!({ "import": true, "source_complete": "unknown", "on_conflict": "update", "keep_versions": true });
    assert_eq!((options, counted), (expected, 3));

    // A file may be filtered, so a message that it lacks may still exist in Discord.
    let part = file("d.json", document(CHANNEL, 5..=6).to_string().replace("2024-08-01", "2024-09-01"));
    let part = ended(start(&database.url(), &["--on-conflict", "update", part.to_str().unwrap()])).await;
    assert_eq!(part.code, Some(0));
    let missing: i64 = sqlx::query_scalar("SELECT count(*) FROM messages WHERE missing_since IS NOT NULL")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(missing, 0);
}
