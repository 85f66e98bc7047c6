//! Every message is archived once and unaltered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use dce_standin::scenario::{Channel, Scenario, recording};
use dce_testkit::service::Service;
use serde_json::Value;
use sqlx::{PgPool, Row};

/// The messages of a document (all its parts) by id, as plain `serde_json` reads them.
pub(crate) fn expected(folder: &Path) -> (String, BTreeMap<String, Value>) {
    let mut channel = String::new();
    let mut messages = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let document: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        document["channel"]["id"].as_str().unwrap().clone_into(&mut channel);
        for message in document["messages"].as_array().unwrap() {
            messages.insert(message["id"].as_str().unwrap().to_owned(), repaired(message));
        }
    }
    (channel, messages)
}

/// Postgres cannot store NUL.
fn repaired(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.replace('\0', "\u{fffd}")),
        Value::Array(items) => items.iter().map(repaired).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), repaired(value))).collect(),
        other => other.clone(),
    }
}

/// The stored messages of a channel: `raw` by id, after a comparison with every column.
pub(crate) async fn stored(pool: &PgPool, channel: &str) -> BTreeMap<String, Value> {
    let rows = sqlx::query(
        r#"SELECT message_id, author_id, author_name, content, "timestamp", attachments, embeds, raw, job_id
             FROM messages WHERE channel_id = $1"#,
    )
    .bind(channel)
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter()
        .map(|row| {
            let raw: Value = row.get("raw");
            let id: String = row.get("message_id");
            assert_eq!(raw["id"], id.as_str());
            assert_eq!(raw["author"]["id"].as_str(), row.get::<Option<&str>, _>("author_id"));
            assert_eq!(raw["author"]["name"].as_str(), row.get::<Option<&str>, _>("author_name"));
            assert_eq!(raw["content"].as_str(), row.get::<Option<&str>, _>("content"));
            assert_eq!(raw["attachments"], row.get::<Value, _>("attachments"));
            assert_eq!(raw["embeds"], row.get::<Value, _>("embeds"));
            let written: DateTime<Utc> = raw["timestamp"].as_str().unwrap().parse().unwrap();
            assert_eq!(written, row.get::<DateTime<Utc>, _>("timestamp"));
            assert!(row.get::<Option<uuid::Uuid>, _>("job_id").is_some());
            (id, raw)
        })
        .collect()
}

/// Exports a channel twice and compares the archive with the expected messages.
async fn arrives_once(service: &Service, name: &str, channel: &str, messages: &BTreeMap<String, Value>) {
    let count = messages.len();
    let first = service.export_channel(channel).await;
    assert_eq!((&first["status"], &first["error"]), (&"completed".into(), &Value::Null), "{name}: {first}");
    assert_eq!((&first["message_count"], &first["inserted_count"]), (&count.into(), &count.into()), "{name}");
    assert_eq!(&stored(&service.pool(), channel).await, messages, "{name}");

    let again = service.export_channel(channel).await;
    assert_eq!(again["status"], "completed", "{name}: {again}");
    assert_eq!((&again["message_count"], &again["inserted_count"]), (&count.into(), &0.into()), "{name}");
    assert_eq!(&stored(&service.pool(), channel).await, messages, "{name}: after the second export");
}

#[tokio::test]
async fn every_recorded_message_is_archived_once_and_unaltered() {
    // Several recordings have the same channel: each gets a service of its own, one after the other on one server.
    for name in ["small", "weird", "thread", "reactions", "partition-5"] {
        let (channel, messages) = expected(&recording(name).join("out"));
        let service =
            Service::start(&Scenario::new().channel(&channel, Channel::case(recording(name)))).await;
        arrives_once(&service, name, &channel, &messages).await;

        let described = sqlx::query("SELECT guild_name, name, type, archived_count, covered_to_id FROM channels WHERE channel_id = $1")
            .bind(&channel)
            .fetch_one(&service.pool())
            .await
            .unwrap();
        assert_eq!(described.get::<&str, _>("guild_name"), "Test | Guild 길드");
        assert_eq!(described.get::<i64, _>("archived_count"), i64::try_from(messages.len()).unwrap());
        let last = messages.keys().map(|id| id.parse::<u64>().unwrap()).max().unwrap();
        assert_eq!(described.get::<&str, _>("covered_to_id"), last.to_string());
    }
}

#[tokio::test]
async fn characters_that_postgres_cannot_store_are_replaced_and_counted() {
    let (channel, messages) = expected(&recording("weird").join("out"));
    let service = Service::start(&Scenario::new().channel(&channel, Channel::case(recording("weird")))).await;
    let export = service.export_channel(&channel).await;
    let replaced = messages.values().filter(|message| message.to_string().contains('\u{fffd}')).count();
    assert!(replaced > 0, "the recording has a NUL");
    assert_eq!(export["repaired_count"], replaced);
}

/// `DCE_EXPORTS` names a folder of DCE exports (one channel a file) to test in addition to the recordings.
#[tokio::test]
async fn files_in_dce_exports_are_archived_too() {
    let Some(folder) = std::env::var_os("DCE_EXPORTS").map(PathBuf::from) else {
        println!("DCE_EXPORTS names no folder: nothing besides the recordings is tried");
        return;
    };
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        let own = tempfile::tempdir().unwrap();
        std::fs::copy(&file, own.path().join("part.json")).unwrap();
        let (channel, messages) = expected(own.path());
        let service = Service::start(&Scenario::new().channel(&channel, Channel::file(&file))).await;
        arrives_once(&service, &file.display().to_string(), &channel, &messages).await;
        println!("{}: {} messages", file.display(), messages.len());
    }
}

#[tokio::test]
async fn missing_messages_are_inserted_between_archived_ones() {
    let service = Service::start(&Scenario::new().channel("42", Channel::generated(40_000, 9))).await;
    let pool = service.pool();
    let digest = async || -> String {
        let of_all = "SELECT md5(string_agg(message_id || raw::text, ',' ORDER BY message_id)) FROM messages";
        sqlx::query_scalar(of_all).fetch_one(&pool).await.unwrap()
    };
    let first = service.export_channel("42").await;
    assert_eq!(first["inserted_count"], 40_000, "{first}");
    let whole = digest().await;
    // Single messages in several places, and many in a row.
    let gaps = "DELETE FROM messages m USING (SELECT message_id, row_number() OVER (ORDER BY message_id) AS number FROM messages) n
                 WHERE m.message_id = n.message_id AND (number % 701 = 0 OR number BETWEEN 20000 AND 23000 OR number > 39998)";
    let lacking = sqlx::query(gaps).execute(&pool).await.unwrap().rows_affected();
    assert!(lacking > 3000);
    for inserted in [lacking, 0] {
        let again = service.export_channel("42").await;
        assert_eq!(
            (&again["status"], &again["inserted_count"], &again["message_count"]),
            (&"completed".into(), &inserted.into(), &40_000.into()),
            "{again}"
        );
        let (run, first) = (&again["runs"][0], &first["runs"][0]);
        for field in ["first_message_id", "last_message_id", "newest_at", "warnings"] {
            assert_eq!(run[field], first[field], "{field}");
        }
        assert_eq!(digest().await, whole);
    }
}
