//! Data that DCE loses silently is counted during the export and reported as warnings.

use std::fs;
use std::path::PathBuf;

use dce_core::export::warnings::WarningKind;
use dce_standin::scenario::{Attempt, Channel, Ending, Scenario, recording};
use dce_testkit::service::Service;
use serde_json::{Value, json};
use tempfile::TempDir;

const SMALL: &str = "900000000000001001";
const EMPTY: &str = "900000000000001003";

/// The begin of a message in DCE's layout.
const MESSAGE: &str = "\n    {\n";

/// The recording `small`, message by message.
struct Document {
    head: String,
    messages: Vec<String>,
}

impl Document {
    fn small() -> Self {
        let text = fs::read_to_string(recording("small").join("out/part.json")).unwrap();
        let mut pieces = text.split(MESSAGE).map(str::to_owned);
        Self { head: pieces.next().unwrap(), messages: pieces.collect() }
    }

    /// Changes the line of a property in a message.
    fn set(&mut self, message: usize, property: &str, value: &str) -> &mut Self {
        let message = &mut self.messages[message];
        let begin = message.find(&format!("\n      \"{property}\": ")).unwrap() + 1;
        let end = begin + message[begin..].find('\n').unwrap();
        message.replace_range(begin..end, &format!("      \"{property}\": {value},"));
        self
    }

    fn replace(&mut self, message: usize, from: &str, to: &str) -> &mut Self {
        assert!(self.messages[message].contains(from), "{from}");
        self.messages[message] = self.messages[message].replacen(from, to, 1);
        self
    }

    fn write(&self) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("part.json");
        fs::write(&file, format!("{}{MESSAGE}{}", self.head, self.messages.join(MESSAGE))).unwrap();
        (folder, file)
    }
}

/// A reaction with this count that lists this many users, each of about a kilobyte.
fn reactions(count: usize, listed: usize) -> String {
    let user = json!({ "id": "800000000000000001", "name": "x".repeat(1000) }).to_string();
    format!(r#"[{{ "emoji": {{}}, "count": {count}, "users": [{}] }}]"#, vec![user; listed].join(", "))
}

/// More than 16 MB together.
const GIANT: usize = 17_000;

/// A channel with every kind of loss in its first six messages and in its last six.
fn lossy() -> Document {
    let mut document = Document::small();
    document
        .set(0, "type", "\"Default\"")
        .set(0, "content", "\"\"") // blank
        .set(1, "type", "\"Reply\"")
        .set(1, "content", "\"\"") // blank
        .set(2, "content", "\"\"") // a system message
        .set(2, "reactions", &reactions(4, 0)) // 4 missing
        .set(3, "content", "\"\"") // has an attachment
        .set(3, "reactions", &reactions(GIANT, GIANT)) // too large
        .set(4, "content", r#""a\u0000b""#) // repaired
        .set(6, "content", "\"\"") // blank
        .replace(7, "\"count\": 3", "\"count\": 5") // 3 missing: lists 2
        .set(8, "content", r#""\u0000\u0000""#) // repaired
        .set(9, "content", r#""c\u0000""#) // repaired
        .set(10, "content", "\"\"") // blank
        .set(11, "content", "\"\"") // a bot's
        .replace(11, "\"isBot\": false", "\"isBot\": true");
    document
}

fn warning(kind: WarningKind, count: u64, more: &Value) -> Value {
    let mut warning = kind.to_json();
    warning["count"] = count.into();
    for (name, value) in more.as_object().unwrap() {
        warning[name] = value.clone();
    }
    warning
}

fn expected(blank: u64, reactions: u64, users: u64, repaired: u64) -> Value {
    let giant = json!({ "users": GIANT, "message_ids": ["1257996675973120003"] });
    json!([
        warning(WarningKind::ContentBlank, blank, &json!({})),
        warning(WarningKind::ReactionUsersMissing, reactions, &json!({ "users": users })),
        warning(WarningKind::Repaired, repaired, &json!({})),
        warning(WarningKind::MessageShortened, 1, &giant),
    ])
}

/// A run's warnings as the export shows them.
fn of_channel(mut warnings: Value) -> Value {
    for warning in warnings.as_array_mut().unwrap() {
        warning["channel_id"] = SMALL.into();
    }
    warnings
}

#[tokio::test]
async fn every_warning_is_counted_once_over_all_attempts() {
    let (_folder, file) = lossy().write();
    let channel = Channel::file(file).attempt(Attempt::ends_after(6, Ending::Dropped));
    let mut service = Service::api_only(&Scenario::new().channel(SMALL, channel), &[]).await;
    let job_id = service.export(&json!({ "channel_id": SMALL })).await;
    service.add_worker(&[]).await;

    let failed = service
        .when(&job_id, "the first attempt fails", |export| !export["runs"][0]["error"].is_null())
        .await;
    assert_eq!(failed["runs"][0]["message_count"], 6, "{failed}");
    assert_eq!(failed["runs"][0]["warnings"], expected(2, 1, 4, 1));
    assert_eq!(failed["warnings"], of_channel(expected(2, 1, 4, 1)));

    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &12.into()), "{export}");
    assert_eq!(export["runs"][0]["warnings"], expected(4, 2, 7, 3));
    assert_eq!(export["warnings"], of_channel(expected(4, 2, 7, 3)));
    assert_eq!(service.scenario.attempts_at(SMALL).len(), 2);

    let (giant, users): (Value, i32) = sqlx::query_as(
        "SELECT raw #- '{reactions,0,users}', jsonb_array_length(raw #> '{reactions,0,users}')
           FROM messages WHERE message_id = '1257996675973120003'",
    )
    .fetch_one(&service.pool())
    .await
    .unwrap();
    assert_eq!((&giant["reactions"], users), (&json!([{ "emoji": {}, "count": GIANT }]), 0));
    assert_eq!(giant["attachments"].as_array().unwrap().len(), 1, "everything else is kept");

    let again = service.export_channel(SMALL).await;
    assert_eq!((&again["status"], &again["inserted_count"]), (&"completed".into(), &0.into()), "{again}");
    assert_eq!(again["warnings"], export["warnings"], "also of what is archived already");
}

#[tokio::test]
async fn an_empty_range_is_no_warning() {
    let unfiltered = json!({ "channel_id": SMALL });
    let filtered = json!({ "channel_id": SMALL, "filter": "from:nobody" });
    for (case, body) in [
        ("window-empty", &unfiltered),
        ("window-empty", &filtered),
        ("empty", &json!({ "channel_id": EMPTY })), // DCE reports it
    ] {
        let channel = Channel::case(recording(case));
        let scenario = Scenario::new().channel(body["channel_id"].as_str().unwrap(), channel);
        let service = Service::start(&scenario).await;
        let job_id = service.export(body).await;
        let export = service.ended(&job_id).await;
        assert_eq!(
            (&export["status"], &export["message_count"], &export["warnings"]),
            (&"completed".into(), &0.into(), &json!([])),
            "{case} {body}: {export}"
        );
    }
}
