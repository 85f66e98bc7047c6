//! An import that is stopped, cancelled or killed keeps what it stored, records its end, and can be repeated.

use std::fs;
use std::path::Path;

use dce_standin::scenario::Scenario;
use dce_testkit::process::{Running, eventually};
use dce_testkit::service::Service;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{BOUND, document, ended, import, indented, message, start};

/// Enough for a dozen batches.
const MESSAGES: u64 = 20_000;

/// A folder with a long file and a short one after it.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a-long.json"), long()).unwrap();
    fs::write(folder.path().join("b-short.json"), indented(&document(2, 1..=10))).unwrap();
    folder
}

/// A document of about 30 MB, built as text: building it as a `Value` takes an unoptimised test many seconds.
fn long() -> String {
    let mut one = message(0);
    one["content"] = "words ".repeat(160).into();
    let one = one.to_string();
    let messages: Vec<String> =
        (1..=MESSAGES).map(|id| one.replacen(r#""id":"0""#, &format!(r#""id":"{id}""#), 1)).collect();
    indented(&document(1, []))
        .replacen("[\n\n", &format!("[\n    {}\n", messages.join(",\n    ")), 1)
        .replacen(r#""messageCount": 0"#, &format!(r#""messageCount": {MESSAGES}"#), 1)
}

/// An import that has stored some messages and is blocked before it has stored all.
async fn under_way(pool: &PgPool, url: &str, folder: &Path) -> (Running, String) {
    let process = start(url, &[folder.to_str().unwrap()]);
    let job_id = eventually(BOUND, "messages are stored", async || {
        let job_id: Option<String> = sqlx::query_scalar(
            "SELECT job_id::text FROM export_channels WHERE message_count > 0 AND status = 'running'",
        )
        .fetch_optional(pool)
        .await
        .unwrap();
        job_id
    })
    .await;
    (process, job_id)
}

async fn stored(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM messages WHERE channel_id = '1'").fetch_one(pool).await.unwrap()
}

/// Waits for a heartbeat: while nothing can be written, only it renews the lease.
async fn renewed(pool: &PgPool) {
    let lease = async || {
        let sql = "SELECT max(lease_expires_at)::text FROM export_channels WHERE status = 'running'";
        sqlx::query_scalar::<_, Option<String>>(sql).fetch_one(pool).await.unwrap()
    };
    let before = lease().await;
    eventually(BOUND, "a heartbeat", async || (lease().await != before).then_some(())).await;
}

/// Returns the import's export, after checking its status and that its counts match the stored messages.
async fn ended_as(service: &Service, job_id: &str, status: &str) -> Value {
    let export = service.ended(job_id).await;
    assert_eq!(export["status"], status, "{export}");
    let stored = stored(&service.pool()).await;
    assert!((1..i64::try_from(MESSAGES).unwrap()).contains(&stored), "{stored}");
    assert_eq!(
        (&export["message_count"], &export["inserted_count"]),
        (&stored.into(), &stored.into()),
        "{export}"
    );
    export
}

/// Checks that repeating the import stores the missing messages.
async fn goes_in_again(service: &Service, folder: &Path) {
    let imported = import(&service.url(), &[folder]).await;
    assert_eq!(imported.code, Some(0), "{:#?}", imported.lines);
    assert_eq!(stored(&service.pool()).await, i64::try_from(MESSAGES).unwrap());
}

#[tokio::test]
async fn a_signal_ends_an_import_after_storing_everything_read() {
    let folder = files();
    let service = Service::api_only(&Scenario::new(), &[]).await;
    let (process, job_id) = under_way(&service.pool(), &service.url(), folder.path()).await;
    process.signal(Signal::SIGINT);
    let imported = ended(process).await;
    assert_eq!(imported.code, Some(1));
    assert!(imported.says("a-long.json", "import_interrupted"), "{:#?}", imported.lines);
    assert!(imported.says("b-short.json", "not imported"), "{:#?}", imported.lines);

    let export = ended_as(&service, &job_id, "failed").await;
    assert_eq!(export["error"]["code"], "import_interrupted");
    let (status, problem) = service.retry(&job_id).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &"nothing_to_retry".into()));
    assert!(problem["detail"].as_str().unwrap().contains("dce-worker import"), "{problem}");
    goes_in_again(&service, folder.path()).await;
}

#[tokio::test]
async fn a_cancel_over_http_ends_an_import() {
    let folder = files();
    let service = Service::api_only(&Scenario::new(), &[]).await;
    let (process, job_id) = under_way(&service.pool(), &service.url(), folder.path()).await;
    // Blocked, so that it cannot finish before the heartbeat reports the cancel.
    let mut holding = service.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE messages IN SHARE MODE").execute(&mut *holding).await.unwrap();
    let (status, _) = service.cancel(&job_id).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    // The first heartbeat may have been sent before the cancel.
    for _ in 0..2 {
        renewed(&service.pool()).await;
    }
    holding.rollback().await.unwrap();
    let imported = ended(process).await;
    assert_eq!(imported.code, Some(1));
    assert!(imported.says("a-long.json", "cancelled"), "{:#?}", imported.lines);
    ended_as(&service, &job_id, "cancelled").await;
    goes_in_again(&service, folder.path()).await;
}

#[tokio::test]
async fn a_worker_fails_the_run_of_a_killed_import_and_does_not_queue_it() {
    let folder = files();
    let service = Service::start(&Scenario::new()).await;
    let pool = service.pool();
    let (mut process, job_id) = under_way(&pool, &service.url(), folder.path()).await;
    process.signal(Signal::SIGKILL);
    process.wait(BOUND).await;
    // Expires the lease; no worker rescues runs just after the start of the server.
    sqlx::query("UPDATE export_channels SET lease_expires_at = clock_timestamp() - interval '1 s' WHERE status = 'running'")
        .execute(&pool)
        .await
        .unwrap();
    let export = ended_as(&service, &job_id, "failed").await;
    assert_eq!(export["error"]["code"], "import_interrupted");
    assert_eq!((&export["runs"][0]["kind"], &export["runs"][0]["attempt"]), (&"import".into(), &1.into()));
    assert_eq!(service.retry(&job_id).await.0, StatusCode::CONFLICT);
    goes_in_again(&service, folder.path()).await;
}
