//! Why an export waits, and `/readyz`: both follow from what the workers report.

use serde_json::{Value, json};

use crate::support::Api;

impl Api {
    async fn worker(&self, id: &str, draining: bool, problem: Option<&str>) {
        let statement = "INSERT INTO workers (id, host, version, dce_version, slots, draining, problem)
                         VALUES ($1, 'h', '1', '2.47', 2, $2, $3)
             ON CONFLICT (id) DO UPDATE SET draining = excluded.draining, problem = excluded.problem";
        let pool = self.database.pool();
        sqlx::query(statement).bind(id).bind(draining).bind(problem).execute(&pool).await.unwrap();
    }

    async fn waiting(&self, path: &str) -> Value {
        self.get(path).await.body["waiting"].clone()
    }

    async fn readiness(&self) -> Value {
        let answer = self.get("/readyz").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }
}

#[tokio::test]
async fn a_waiting_export_reports_its_blocker() {
    let api = Api::start(&[]).await;
    let path = api.post(&json!({ "channel_ids": ["1", "2"] })).await.header("location").to_owned();
    let waiting = api.waiting(&path).await;
    assert_eq!(waiting["code"], "no_worker");
    for text in ["message", "action"] {
        assert!(waiting[text].as_str().is_some_and(|text| text.ends_with('.')), "{waiting}");
    }

    api.worker("a", true, None).await;
    assert_eq!(api.waiting(&path).await["code"], "no_worker", "a worker that drains takes nothing");
    api.worker("b", false, Some("invalid_token")).await;
    let waiting = api.waiting(&path).await;
    assert_eq!(waiting["code"], "invalid_token");
    assert!(waiting["action"].as_str().unwrap().contains("every 10 minutes"), "{waiting}");
    api.worker("c", false, None).await;
    assert_eq!(api.waiting(&path).await, Value::Null, "its turn will come");

    api.worker("b", false, Some("disk_full")).await;
    api.worker("c", true, None).await;
    assert_eq!(api.waiting(&path).await["code"], "disk_full");
    api.sql("UPDATE workers SET last_seen = clock_timestamp() - interval '21 s'").await;
    assert_eq!(api.waiting(&path).await["code"], "no_worker", "silent for a lease");
}

#[tokio::test]
async fn exports_that_are_not_due_or_have_ended_report_no_blocker() {
    let api = Api::start(&[]).await;
    let path = api.post(&json!({ "channel_id": "1" })).await.header("location").to_owned();
    api.sql(
        "UPDATE export_channels SET attempt = 1, failures = 1, run_at = clock_timestamp() + interval '1 h'",
    )
    .await;
    let shown = api.get(&path).await.body;
    assert_eq!(shown["waiting"], Value::Null, "next_attempt_at says it");
    assert!(shown["runs"][0]["next_attempt_at"].is_string());

    api.sql("UPDATE export_channels SET run_at = clock_timestamp()").await;
    assert_eq!(api.waiting(&path).await["code"], "no_worker");
    api.request(reqwest::Method::POST, &format!("{path}/cancel")).send().await.unwrap();
    assert_eq!(api.waiting(&path).await, Value::Null);
}

#[tokio::test]
async fn a_workers_problem_makes_the_service_degraded_but_ready() {
    let api = Api::start(&[]).await;
    api.worker("a", false, None).await;
    let well = json!({ "status": "ready", "database": "ok", "workers_live": 1, "problems": [] });
    assert_eq!(api.readiness().await, well);

    api.worker("b", false, Some("disk_full")).await;
    api.worker("c", false, Some("invalid_token")).await;
    api.worker("d", true, Some("invalid_token")).await;
    let degraded = api.readiness().await;
    assert_eq!((&degraded["status"], &degraded["workers_live"]), (&json!("degraded"), &json!(4)));
    let problems: Vec<_> = degraded["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            assert!(problem["message"].is_string() && problem["action"].is_string(), "{problem}");
            (&problem["code"], &problem["workers"])
        })
        .collect();
    assert_eq!(problems, [(&json!("invalid_token"), &json!(2)), (&json!("disk_full"), &json!(1))]);

    api.sql("UPDATE workers SET last_seen = clock_timestamp() - interval '21 s' WHERE id <> 'a'").await;
    assert_eq!(api.readiness().await, well, "gone with the workers");
}
