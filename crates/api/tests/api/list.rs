//! Lists of exports: content, order, and complete paging.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api};

/// Sixty exports of three channels, some of two, created a second apart; every third at the same time as the previous one.
const SIXTY: &str = "
  INSERT INTO exports (job_id, status, created_at, finished_at)
  SELECT md5(n::text)::uuid, s, t, CASE WHEN s IN ('completed', 'failed', 'cancelled') THEN t END
    FROM (SELECT n, (ARRAY['pending', 'running', 'completed', 'failed', 'cancelled'])[n % 5 + 1] AS s,
                 timestamptz '2026-01-01 00:00:00.123456Z' + (n - n % 3 / 2) * interval '1 s' AS t
            FROM generate_series(0, 59) n) x;
  INSERT INTO export_channels (id, job_id, channel_id, status, attempt, lease_owner, lease_expires_at, finished_at,
                               message_count, inserted_count)
  SELECT gen_random_uuid(), e.job_id, c, e.status, 1, CASE e.status WHEN 'running' THEN 'w' END,
         CASE e.status WHEN 'running' THEN 'infinity'::timestamptz END, e.finished_at, 10, 7
    FROM (SELECT e.job_id, e.status, e.finished_at, row_number() OVER (ORDER BY e.created_at, e.job_id) AS n FROM exports e) e,
         unnest(ARRAY['99999999999999999' || n % 3, CASE WHEN n % 4 = 0 THEN '1000000000000000000' END]) c
   WHERE c IS NOT NULL AND (e.status <> 'running' OR NOT EXISTS (SELECT FROM export_channels))";

impl Api {
    /// With the exports above. Only one run of a channel may be running: that constraint is dropped.
    async fn with_sixty() -> Self {
        let api = Self::start(&[]).await;
        api.sql("DROP INDEX one_per_channel").await;
        api.sql(SIXTY).await;
        api
    }

    /// The ids on all pages of a list.
    async fn walk(&self, list: &str) -> Vec<String> {
        let mut path = list.to_owned();
        let mut ids = Vec::new();
        loop {
            let page = self.get(&path).await;
            assert_eq!(page.status, 200, "{page:?}");
            ids.extend(page.ids());
            let cursor = page.body["next_cursor"].as_str();
            let link =
                page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
            assert_eq!(cursor.is_some(), link.is_some(), "{page:?}");
            let Some(link) = link else { return ids };
            assert!(link.ends_with(&format!("cursor={}", cursor.unwrap())), "{link}");
            link.clone_into(&mut path);
        }
    }

    /// The ids of the exports that match a condition, from the table.
    async fn expected(&self, condition: &str) -> Vec<String> {
        let sql = format!(
            "SELECT job_id::text FROM exports e WHERE {condition} ORDER BY created_at DESC, job_id DESC"
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&self.database.pool()).await.unwrap()
    }
}

impl Answer {
    fn ids(&self) -> Vec<String> {
        let exports = self.body["exports"].as_array().unwrap();
        exports.iter().map(|export| export["job_id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn every_filter_lists_its_exports_newest_first_with_any_page_size() {
    let api = Api::with_sixty().await;
    let with = |channel: &str| {
        format!(
            "EXISTS (SELECT FROM export_channels r WHERE r.job_id = e.job_id AND r.channel_id = '{channel}')"
        )
    };
    let later = "created_at > '2026-01-01T00:00:20.123456Z' AND created_at < '2026-01-01T00:00:40.123456Z'";
    for (query, condition) in [
        (String::new(), "true".to_owned()),
        ("status=failed".into(), "status = 'failed'".into()),
        ("status=pending,running,pending".into(), "status IN ('pending', 'running')".into()),
        ("channel_id=999999999999999991".into(), with("999999999999999991")),
        ("channel_id=1000000000000000000".into(), with("1000000000000000000")),
        (
            "channel_id=1000000000000000000&status=completed,cancelled".into(),
            format!("status IN ('completed', 'cancelled') AND {}", with("1000000000000000000")),
        ),
        ("channel_id=5".into(), "false".into()),
        (
            // The same time with another offset, its plus sign not encoded.
            "created_after=2026-01-01T09:00:20.123456+09:00&created_before=2026-01-01T00:00:40.123456Z".into(),
            later.into(),
        ),
        (
            "created_after=2026-01-01T00:00:20.123456Z&created_before=2026-01-01T00:00:40.123456Z&status=completed,failed\
             &channel_id=999999999999999992"
                .into(),
            format!("{later} AND status IN ('completed', 'failed') AND {}", with("999999999999999992")),
        ),
    ] {
        let expected = api.expected(&condition).await;
        assert_eq!(expected.is_empty(), condition == "false", "{condition}");
        for limit in [1, 7, 200] {
            assert_eq!(api.walk(&format!("/exports?limit={limit}&{query}")).await, expected, "{query} {limit}");
        }
    }
    assert_eq!(api.get("/exports").await.ids().len(), 50, "unless it is named");
}

#[tokio::test]
async fn exports_created_while_paging_shift_no_page() {
    let api = Api::with_sixty().await;
    let before = api.expected("true").await;
    let first = api.get("/exports?limit=25").await;
    let mut seen = first.ids();
    let mut cursor = first.body["next_cursor"].as_str().map(str::to_owned);
    while let Some(at) = cursor {
        api.post(&json!({ "channel_id": "5" })).await;
        let page = api.get(&format!("/exports?limit=25&cursor={at}")).await;
        seen.extend(page.ids());
        cursor = page.body["next_cursor"].as_str().map(str::to_owned);
    }
    assert_eq!(seen, before);
    assert_eq!(api.get("/exports?limit=200").await.ids().len(), 62);
}

#[tokio::test]
async fn the_status_filter_uses_the_current_status() {
    let api = Api::start(&[]).await;
    let created = api.post(&json!({ "channel_ids": ["1", "2"] })).await.body;
    let (id, path) = (created["job_id"].as_str().unwrap(), created["links"]["self"].as_str().unwrap());
    let ids = async |query: &str| api.get(&format!("/exports?{query}")).await.ids();
    for query in ["status=pending", "status=pending&channel_id=1", "channel_id=2"] {
        assert_eq!(ids(query).await, [id], "{query}");
    }
    api.request(Method::POST, &format!("{path}/cancel")).send().await.unwrap();
    for query in ["status=cancelled", "status=cancelled&channel_id=1", "channel_id=2"] {
        assert_eq!(ids(query).await, [id], "{query}");
    }
    for query in ["status=pending", "status=pending&channel_id=1", "channel_id=3"] {
        assert_eq!(ids(query).await, [""; 0], "{query}");
    }
}

#[tokio::test]
async fn a_listed_export_equals_the_single_one_without_its_runs() {
    let api = Api::start(&[]).await;
    let path = api.post(&json!({ "channel_ids": ["1", "2"] })).await.header("location").to_owned();
    api.sql(
        "UPDATE export_channels SET status = 'running', attempt = 1, task_id = NULL, lease_owner = 'w',
           lease_expires_at = 'infinity', started_at = clock_timestamp(), message_count = 12, inserted_count = 11, updated_count = 1;
         UPDATE exports SET status = 'running', version = 2, started_at = clock_timestamp()",
    )
    .await;
    let page = api.get("/exports").await;
    assert_eq!((page.body["next_cursor"].clone(), page.header("link")), (Value::Null, ""));
    let listed = page.body["exports"][0].clone();
    let mut alone = api.get(&path).await.body;
    assert_eq!((&listed["message_count"], &listed["inserted_count"]), (&json!(24), &json!(22)), "live");
    let of_one = [
        "phase",
        "progress",
        "waiting",
        "bytes_read",
        "repaired_count",
        "filtered_count",
        "discord_requests",
    ];
    for field in ["runs", "links"].into_iter().chain(of_one) {
        assert!(alone.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    assert_eq!(listed, alone);
    listed["created_at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
}

#[tokio::test]
async fn faults_of_a_query_are_reported() {
    let api = Api::start(&[]).await;
    let answer = api
        .get("/exports?status=done&channel_id=x&created_after=2026-01-01T00:00:00&limit=201&cursor=abc&colour=blue")
        .await;
    answer.assert_problem(422, "validation_failed");
    let named: HashSet<_> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["parameter"].as_str().unwrap())
        .collect();
    let all = ["status", "channel_id", "created_after", "limit", "cursor", "colour"];
    assert_eq!(named, HashSet::from(all), "{answer:?}");

    let moment = "2026-01-01T00:00:00Z";
    for query in [
        format!("created_after={moment}&created_before={moment}"),
        "limit=0".into(),
        "status=failed,".into(),
        "cursor=WyJleHBvcnRzLjEiLFs5MjIzMzcyMDM2ODU0Nzc1ODA3LCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXV0".into(),
    ] {
        api.get(&format!("/exports?{query}")).await.assert_problem(422, "validation_failed");
    }
    let answer = Answer::send(api.request(Method::PUT, "/exports")).await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD, POST");
}
