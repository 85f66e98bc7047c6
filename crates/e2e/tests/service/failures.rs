//! Every recorded failure of the real DCE becomes its typed error, with a message and a remedy.

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario, recording};
use dce_testkit::service::Service;
use serde_json::{Value, json};
use sqlx::Row;

/// Recording, its channel, the error, whether a retry can help.
const FAILURES: &[(&str, &str, &str, bool)] = &[
    ("forbidden", "900000000000001004", "missing_access", false),
    ("forbidden-messages", "900000000000001014", "missing_access", false),
    ("unknown", "900000000000001005", "unknown_channel", false),
    ("no-intent", "900000000000001013", "missing_message_content_intent", false),
    ("forum", "900000000000001006", "forum_needs_threads", false),
    ("category-one-file", "900000000000001012", "not_a_text_channel", false),
    ("limited", "900000000000001017", "rate_limited", true),
    ("cloudflare-400", "900000000000001018", "discord_unavailable", true),
    ("bad500", "900000000000001010", "discord_unavailable", true),
    ("discord-down", "900000000000001020", "discord_unavailable", true),
    ("disk-full", "900000000000001002", "disk_full", true),
    ("lone-surrogate", "900000000000001015", "dce_cannot_read_message", false),
];

#[tokio::test]
async fn every_recorded_failure_of_dce_becomes_its_typed_error() {
    let scenario =
        FAILURES.iter().fold(Scenario::new().version(DceVersion::V2_47), |scenario, (case, channel, ..)| {
            scenario.channel(*channel, Channel::case(recording(case)))
        });
    // One failure without progress is enough here; the other runs stay resumable.
    let mut service = Service::api_only(&scenario, &[("MAX_ATTEMPTS", "1")]).await;
    service.add_worker(&[("WORKER_CONCURRENCY", "8")]).await;
    let body = json!({ "channel_ids": FAILURES.iter().map(|(_, channel, ..)| channel).collect::<Vec<_>>() });
    let export = service.ended(&service.export(&body).await).await;
    assert_eq!(export["status"], "failed", "{export}");
    assert_eq!(export["error"]["failed_runs"], FAILURES.len(), "{export}");

    for (case, channel, code, retryable) in FAILURES {
        let runs = export["runs"].as_array().unwrap();
        let run = runs.iter().find(|run| run["channel_id"] == *channel).unwrap();
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&"failed".into(), &(*code).into()),
            "{case}: {run}"
        );
        assert_eq!(run["error"]["retryable"], *retryable, "{case}");
        for sentence in ["message", "action"] {
            assert!(run["error"][sentence].as_str().unwrap().ends_with('.'), "{case}: {run}");
        }
        // Messages from before the failure are kept, and a retryable failure after progress is retried.
        let kept = kept_by(case);
        assert_eq!(run["message_count"], kept, "{case}: {run}");
        let attempts = if *retryable && kept > 0 { 2 } else { 1 };
        assert_eq!(run["attempt"], attempts, "{case}: {run}");
    }
    assert_stored_history(&service, &export).await;
}

/// Number of complete messages in the recording.
fn kept_by(case: &str) -> usize {
    let output = recording(case).join("out/part.json");
    let Ok(text) = std::fs::read(output) else { return 0 };
    let document: Value = serde_json::from_slice(&text).unwrap();
    document["messages"].as_array().unwrap().len()
}

async fn assert_stored_history(service: &Service, export: &Value) {
    let job_id: uuid::Uuid = export["job_id"].as_str().unwrap().parse().unwrap();
    let attempts = sqlx::query(
        "SELECT a.outcome, a.error_kind, a.error_message, a.dce_version, a.exit_code, a.stderr_tail
           FROM export_attempts a JOIN export_channels r ON r.id = a.run_id WHERE r.job_id = $1",
    )
    .bind(job_id)
    .fetch_all(&service.pool())
    .await
    .unwrap();
    assert!(attempts.len() >= FAILURES.len());
    for attempt in attempts {
        assert_eq!(attempt.get::<&str, _>("outcome"), "failed");
        assert_eq!(attempt.get::<i32, _>("exit_code"), 1);
        assert_eq!(attempt.get::<&str, _>("dce_version"), "2.47.0");
        for column in ["error_kind", "error_message", "stderr_tail"] {
            assert!(!attempt.get::<&str, _>(column).is_empty(), "{column}");
        }
    }
}

#[tokio::test]
async fn a_dce_that_ignores_sigint_is_killed_and_one_without_stderr_is_retried() {
    let scenario = Scenario::new()
        .channel("1", Channel::generated(100, 1).attempt(Attempt::ends_after(50, Ending::Deaf)))
        .channel("2", Channel::generated(100, 2).attempt(Attempt::ends_after(50, Ending::Silent)));
    let mut service = Service::api_only(&scenario, &[]).await;
    service.add_worker(&[("STALL_TIMEOUT", "1s")]).await;
    let export = service.ended(&service.export(&json!({ "channel_ids": ["1", "2"] })).await).await;
    assert_eq!(
        (&export["status"], &export["inserted_count"]),
        (&"completed".into(), &200.into()),
        "{export}"
    );
    let kinds: Vec<String> = sqlx::query_scalar(
        "SELECT a.error_kind FROM export_attempts a JOIN export_channels r ON r.id = a.run_id
          WHERE a.error_kind IS NOT NULL ORDER BY r.channel_id",
    )
    .fetch_all(&service.pool())
    .await
    .unwrap();
    assert_eq!(kinds, ["stalled", "dce_crashed"]);
}

#[tokio::test]
async fn a_worker_without_dce_reports_it_at_start_with_all_other_mistakes() {
    let worker = dce_testkit::process::binary("dce-worker");
    let settings = [
        ("DISCORD_TOKEN", "a-secret-token"),
        ("DATABASE_URL", "postgres://u:a-secret-password@localhost:6543/db"),
        ("DCE_BIN", "/nowhere/DiscordChatExporter.Cli"),
        ("WORKER_CONCURRENCY", "none"),
        ("DOTENV", "false"),
    ];
    let mut worker = dce_testkit::process::Running::start(&worker, &[], settings);
    let status = worker.wait(std::time::Duration::from_secs(20)).await;
    let said = worker.lines().join("\n");
    assert_eq!(status.code(), Some(2), "{said}");
    for name in ["DCE_BIN", "DATABASE_URL", "6543", "WORKER_CONCURRENCY"] {
        assert!(said.contains(name), "{name} is not in: {said}");
    }
    assert!(!said.contains("a-secret"), "{said}");
}
