//! One export in full: attempts, progress, and conditional requests.

use reqwest::Method;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::support::{Answer, Api};

/// A worker has had both runs for ten seconds; the first run had an attempt that failed after ten others.
const RUNNING: &str = "
  UPDATE export_channels SET status = 'running', attempt = CASE channel_id WHEN '1' THEN 12 ELSE 1 END, task_id = NULL,
    lease_owner = 'w', lease_expires_at = 'infinity', started_at = clock_timestamp(),
    message_count = 300, bytes_read = 4000, newest_at = '2024-07-03T09:50:40.123Z';
  INSERT INTO export_attempts (run_id, attempt, worker, started_at, ended_at, outcome, error_kind, error_message, dce_version,
                               exit_code, stderr_tail)
  SELECT id, n, 'w' || n, clock_timestamp() - interval '10 s', CASE WHEN n < attempt THEN clock_timestamp() END,
         CASE WHEN n < attempt THEN 'failed' END, CASE WHEN n < attempt THEN 'stalled' END,
         CASE WHEN n < attempt THEN 'silent for 10 m' END, '2.47', CASE WHEN n < attempt THEN 1 END,
         CASE WHEN n < attempt THEN repeat('x', 3000) || 'end' END
    FROM export_channels, generate_series(1, attempt) n;
  UPDATE exports SET status = 'running', version = version + 1, started_at = clock_timestamp()";

impl Api {
    async fn submit_two(&self) -> String {
        self.post(&json!({ "channel_ids": ["1", "2"] })).await.header("location").to_owned()
    }

    async fn show(&self, path: &str, known: &str) -> Answer {
        Answer::send(self.request(Method::GET, path).header(IF_NONE_MATCH, known)).await
    }

    async fn etag(&self, path: &str) -> String {
        self.get(path).await.header(ETAG.as_str()).to_owned()
    }
}

#[tokio::test]
async fn attempts_and_progress_are_reported() {
    let api = Api::start(&[]).await;
    let path = api.submit_two().await;
    let waiting = api.get(&path).await.body;
    assert_eq!(
        waiting["progress"],
        json!({ "messages": 0, "bytes": 0, "newest_at": null, "messages_per_second": null })
    );
    assert_eq!(waiting["runs"][0]["attempts"], json!([]));

    api.sql(RUNNING).await;
    let running = api.get(&path).await.body;
    let progress = &running["progress"];
    assert_eq!(
        (&progress["messages"], &progress["bytes"], &progress["newest_at"]),
        (&json!(600), &json!(8000), &json!("2024-07-03T09:50:40.123Z"))
    );
    // One run took ten seconds twelve times, the other once.
    let rate = progress["messages_per_second"].as_f64().unwrap();
    assert!((20.0..=32.6).contains(&rate), "{rate}");
    let runs = running["runs"].as_array().unwrap();
    let attempts = runs.iter().find(|run| run["channel_id"] == "1").unwrap()["attempts"].as_array().unwrap();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt["attempt"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<_>>(), "the last ten");
    let failed = &attempts[8];
    for (field, value) in [
        ("worker", json!("w11")),
        ("outcome", json!("failed")),
        ("error_kind", json!("stalled")),
        ("error_message", json!("silent for 10 m")),
        ("dce_version", json!("2.47")),
        ("exit_code", json!(1)),
    ] {
        assert_eq!(failed[field], value, "{field}");
    }
    assert!(failed["started_at"].is_string() && failed["ended_at"].is_string(), "{failed}");
    let tail = failed["stderr_tail"].as_str().unwrap();
    assert!(tail.len() == 2000 && tail.ends_with("xend"), "{tail}");
    assert_eq!((&attempts[9]["outcome"], &attempts[9]["ended_at"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn phase_and_proof_are_reported() {
    let api = Api::start(&[]).await;
    let path = api.submit_two().await;
    let waiting = api.get(&path).await.body;
    for shown in [&waiting, &waiting["runs"][0]] {
        assert_eq!(
            (&shown["phase"], &shown["verified_at"], &shown["discord_requests"], &shown["filtered_count"]),
            (&Value::Null, &Value::Null, &json!(0), &json!(0))
        );
    }
    api.sql(RUNNING).await;
    api.sql(
        "UPDATE export_channels SET phase = CASE channel_id WHEN '1' THEN 'verifying' ELSE 'reading' END,
           discord_requests = 2, filtered_count = 40",
    )
    .await;
    let running = api.get(&path).await.body;
    assert_eq!((&running["phase"], &running["discord_requests"]), (&json!("reading"), &json!(4)));
    assert_eq!((&running["filtered_count"], &running["runs"][0]["filtered_count"]), (&json!(80), &json!(40)));
    let runs = running["runs"].as_array().unwrap();
    let phase = |channel| &runs.iter().find(|run| run["channel_id"] == channel).unwrap()["phase"];
    assert_eq!((phase("1"), phase("2")), (&json!("verifying"), &json!("reading")));

    api.sql(
        "UPDATE export_channels SET status = 'completed', lease_owner = NULL, lease_expires_at = NULL, finished_at = now(),
           verified_at = '2024-07-03T09:50:40Z', verified_newest_id = '77';
         UPDATE exports SET status = 'completed', finished_at = now(), verified_at = '2024-07-03T09:50:40Z'",
    )
    .await;
    let completed = api.get(&path).await.body;
    let run = &completed["runs"][0];
    assert_eq!((&completed["phase"], &run["phase"]), (&Value::Null, &Value::Null), "only while running");
    assert_eq!((&run["verified_newest_id"], &run["discord_requests"]), (&json!("77"), &json!(2)));
    let listed = &api.get("/exports").await.body["exports"][0];
    for shown in [&completed, run, listed] {
        assert_eq!(shown["verified_at"], "2024-07-03T09:50:40Z", "{shown}");
    }
}

#[tokio::test]
async fn links_offer_only_possible_actions() {
    let api = Api::start(&[]).await;
    let path = api.submit_two().await;
    let id = path.strip_prefix("/exports/").unwrap();
    let links = async |with: &[&str]| {
        let links = api.get(&path).await.body["links"].clone();
        let mut expected = json!({ "self": path, "events": format!("{path}/events"), "messages": format!("{path}/messages") });
        for name in with {
            expected[name] = format!("/exports/{id}/{name}").into();
        }
        assert_eq!(links, expected);
    };
    links(&["cancel"]).await;
    api.sql(RUNNING).await;
    links(&["cancel"]).await;
    api.request(Method::POST, &format!("{path}/cancel")).send().await.unwrap();
    links(&["retry"]).await;
    api.sql(
        "UPDATE export_channels SET status = 'completed', lease_owner = NULL, lease_expires_at = NULL, finished_at = now();
         UPDATE exports SET status = 'completed', finished_at = now()",
    )
    .await;
    links(&[]).await;
}

#[tokio::test]
async fn an_unchanged_export_is_304_until_anything_changes() {
    let api = Api::start(&[]).await;
    let path = api.submit_two().await;
    let first = api.get(&path).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with("W/\"1-0-"), "{etag}");
    assert_eq!((first.header("cache-control"), first.header("retry-after")), ("no-cache", "1"));
    let strong = etag.strip_prefix("W/").unwrap();
    for known in ["*", &etag, strong, &format!("\"x\", {etag}")] {
        let answer = api.show(&path, known).await;
        assert_eq!((answer.status, &answer.body), (304, &Value::Null), "{known}");
        assert_eq!((answer.header("etag"), answer.header("retry-after")), (etag.as_str(), "1"));
    }
    for known in ["", "x", "W/\"1-0-0\""] {
        assert_eq!(api.show(&path, known).await.body, first.body, "{known}");
    }
    let head = Answer::send(api.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.header("etag")), (200, etag.as_str()));

    // Each of these changes the response.
    let mut last = etag;
    for change in [
        "INSERT INTO workers (id, host, version, dce_version, slots) VALUES ('w', 'h', '1', '2.47', 2)",
        "UPDATE workers SET draining = true",
        RUNNING,
        "UPDATE export_channels SET bytes_read = bytes_read + 1 WHERE channel_id = '2'",
        "UPDATE export_channels SET repaired_count = 1 WHERE channel_id = '2'",
        "UPDATE export_channels SET filtered_count = 1 WHERE channel_id = '2'",
        "UPDATE export_channels SET phase = 'reading' WHERE channel_id = '2'",
        "UPDATE export_channels SET phase = 'verifying' WHERE channel_id = '2'",
        "UPDATE export_channels SET warnings = '[{\"code\": \"x\"}]' WHERE channel_id = '2'",
        "UPDATE export_attempts SET ended_at = now(), outcome = 'handed_back' WHERE attempt = 12",
        "UPDATE exports SET cancel_requested_at = now()",
    ] {
        api.sql(change).await;
        let answer = api.show(&path, &last).await;
        assert_eq!(answer.status, 200, "{change}");
        let now = answer.header("etag").to_owned();
        assert_eq!(api.show(&path, &now).await.status, 304, "the time alone changes nothing: {change}");
        last = now;
    }
}

#[tokio::test]
async fn retry_after_grows_with_age_and_is_absent_after_the_end() {
    let api = Api::start(&[]).await;
    let path = api.submit_two().await;
    for (age, wait) in [("21 s", "2"), ("44 s", "4"), ("1 day", "5")] {
        let change = format!("UPDATE exports SET created_at = clock_timestamp() - interval '{age}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&api.database.pool()).await.unwrap();
        assert_eq!(api.get(&path).await.header("retry-after"), wait, "{age}");
    }
    api.request(Method::POST, &format!("{path}/cancel")).send().await.unwrap();
    assert_eq!(api.get(&path).await.header("retry-after"), "");
    let etag = api.etag(&path).await;
    assert_eq!(api.show(&path, &etag).await.header("retry-after"), "");
}
