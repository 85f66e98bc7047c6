//! Helpers: the command as a process, documents as DCE writes them, the resulting rows.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use dce_testkit::database::TestDatabase;
use dce_testkit::process::{Running, binary};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Time allowed for each step, even on a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// The result of an import.
pub(crate) struct Imported {
    pub(crate) code: Option<i32>,
    /// The lines of both streams.
    pub(crate) lines: Vec<String>,
}

impl Imported {
    /// Whether a line has both this name and these words.
    pub(crate) fn says(&self, name: &str, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(name) && line.contains(words))
    }
}

/// Starts `dce-worker import`.
pub(crate) fn start(url: &str, arguments: &[&str]) -> Running {
    let arguments: Vec<&str> = ["import"].iter().chain(arguments).copied().collect();
    Running::start(&binary("dce-worker"), &arguments, [("DATABASE_URL", url), ("DOTENV", "false")])
}

/// Imports these paths to the end.
pub(crate) async fn import(url: &str, paths: &[&Path]) -> Imported {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    ended(start(url, &paths)).await
}

pub(crate) async fn ended(mut process: Running) -> Imported {
    let status = process.wait(BOUND).await;
    Imported { code: status.code(), lines: process.lines() }
}

/// A message as DCE writes it, with every field that the import reads.
pub(crate) fn message(id: u64) -> Value {
    json!({
        "id": id.to_string(), "type": "Default", "timestamp": "2024-07-03T09:46:40.876+00:00",
        "timestampEdited": null, "callEndedTimestamp": null, "isPinned": false, "content": format!("message {id} 길드 \u{1f4ac}"),
        "author": { "id": "7", "name": "a", "discriminator": "0000", "nickname": "a", "color": null, "isBot": false,
                    "roles": [], "avatarUrl": "https://cdn.discordapp.com/a.png" },
        "attachments": [{ "id": "9", "url": "https://cdn/x.png?ex=1", "fileName": "x.png", "fileSizeBytes": 5 }],
        "embeds": [], "stickers": [], "reactions": [], "mentions": [],
    })
}

/// A document of a channel with these messages in this order.
pub(crate) fn document(channel: u64, ids: impl IntoIterator<Item = u64>) -> Value {
    let messages: Vec<Value> = ids.into_iter().map(message).collect();
    json!({
        "guild": { "id": "5", "name": "G", "iconUrl": "" },
        "channel": { "id": channel.to_string(), "type": "GuildTextChat", "categoryId": null, "category": null,
                     "name": format!("channel-{channel}"), "topic": "a topic with \"messages\": [" },
        "dateRange": { "after": null, "before": null },
        "exportedAt": "2024-08-01T00:00:00+00:00",
        "messageCount": messages.len(),
        "messages": messages,
    })
}

/// The text as DCE writes it: the count after the messages, two spaces for each level.
pub(crate) fn indented(document: &Value) -> String {
    let head = |key: &str| format!("  \"{key}\": {},\n", serde_json::to_string(&document[key]).unwrap());
    let messages: Vec<String> = document["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| {
            let text = serde_json::to_string_pretty(message).unwrap();
            text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
        })
        .collect();
    format!(
        "{{\n{}{}{}{}  \"messages\": [\n{}\n  ],\n  \"messageCount\": {}\n}}",
        head("guild"),
        head("channel"),
        head("dateRange"),
        head("exportedAt"),
        messages.join(",\n"),
        document["messageCount"],
    )
}

pub(crate) fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Writes an archive of these members; every second one is compressed.
pub(crate) fn archive(path: &Path, members: &[(&str, &[u8])]) {
    let mut archive = ZipWriter::new(fs::File::create(path).unwrap());
    for (index, (name, bytes)) in members.iter().enumerate() {
        let method = if index % 2 == 0 { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

/// `raw` of every archived message, by channel and message.
pub(crate) async fn archived(pool: &PgPool) -> BTreeMap<(u64, u64), Value> {
    let number = |row: &sqlx::postgres::PgRow, name: &str| row.get::<&str, _>(name).parse().unwrap();
    let rows = sqlx::query("SELECT channel_id, message_id, raw, content, job_id FROM messages")
        .fetch_all(pool)
        .await;
    let rows = rows.unwrap();
    rows.iter()
        .map(|row| {
            let raw: Value = row.get("raw");
            assert_eq!(raw["content"].as_str(), row.get::<Option<&str>, _>("content"));
            assert!(row.get::<Option<uuid::Uuid>, _>("job_id").is_some());
            ((number(row, "channel_id"), number(row, "message_id")), raw)
        })
        .collect()
}

/// The expected archive of a document of [`document`]'s.
pub(crate) fn expected(channel: u64, ids: impl IntoIterator<Item = u64>) -> BTreeMap<(u64, u64), Value> {
    ids.into_iter().map(|id| ((channel, id), message(id))).collect()
}

/// The runs of the newest import, by their source.
pub(crate) async fn runs(database: &TestDatabase) -> BTreeMap<String, Run> {
    let rows = sqlx::query(
        "SELECT source, status, error ->> 'code' AS code, message_count, inserted_count FROM export_channels
          WHERE job_id = (SELECT job_id FROM exports ORDER BY created_at DESC LIMIT 1)",
    )
    .fetch_all(&database.pool())
    .await
    .unwrap();
    rows.iter()
        .map(|row| {
            let source: String = row.get("source");
            let run = Run {
                status: row.get("status"),
                code: row.get("code"),
                messages: row.get("message_count"),
                inserted: row.get("inserted_count"),
            };
            (source, run)
        })
        .collect()
}

/// The outcome of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) status: String,
    pub(crate) code: Option<String>,
    pub(crate) messages: i64,
    pub(crate) inserted: i64,
}

impl Run {
    pub(crate) fn completed(messages: i64, inserted: i64) -> Self {
        Self { status: "completed".into(), code: None, messages, inserted }
    }

    pub(crate) fn failed(code: &str, messages: i64, inserted: i64) -> Self {
        Self { status: "failed".into(), code: Some(code.into()), messages, inserted }
    }
}
