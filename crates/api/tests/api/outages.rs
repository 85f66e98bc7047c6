use dce_testkit::database::TestDatabase;
use dce_testkit::process::{eventually, free_port};
use serde_json::json;

use crate::proxy::Proxy;
use crate::support::{Api, SOON, base, launch};

#[tokio::test]
async fn without_the_database_requests_are_503_and_the_process_lives_on() {
    let database = TestDatabase::create().await;
    let port = free_port();
    let proxy = Proxy::start(&database, port).await;
    let url = Proxy::url(&database, port);
    let api = Api::start_on(database, &url, &[]).await;
    let location = api.post(&json!({ "channel_id": "1" })).await.header("location").to_owned();

    drop(proxy);
    for answer in
        [api.get("/readyz").await, api.get(&location).await, api.post(&json!({ "channel_id": "1" })).await]
    {
        answer.assert_problem(503, "database_unavailable");
        assert_eq!(answer.header("retry-after"), "5");
    }
    assert_eq!(api.get("/health").await.status, 200);
    assert_eq!(api.post(&json!({})).await.status, 422, "what needs no database is answered as ever");

    let _proxy = Proxy::start(&api.database, port).await;
    eventually(SOON, "ready again", async || (api.get("/readyz").await.status == 200).then_some(())).await;
    assert_eq!(api.get(&location).await.status, 200);
}

#[tokio::test]
async fn a_read_only_database_is_read_and_not_written() {
    let api = Api::start(&[]).await;
    let location = api.post(&json!({ "channel_id": "1" })).await.header("location").to_owned();
    api.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dce-api'",
    )
    .await;
    let answer = api.post(&json!({ "channel_id": "2" })).await;
    answer.assert_problem(503, "database_read_only");
    assert_eq!(answer.header("retry-after"), "30");
    assert_eq!(api.get(&location).await.status, 200);
    assert_eq!(api.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_database_without_the_schema_is_not_ready() {
    let database = TestDatabase::empty().await;
    let url = database.url();
    let api = Api::start_on(database, &url, &[("MIGRATE_ON_START", "false")]).await;
    api.get("/readyz").await.assert_problem(503, "schema_missing");
    assert_eq!(api.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_fault_of_the_service_is_500_without_internals_and_logged_once() {
    let api = Api::start(&[]).await;
    api.sql("ALTER TABLE exports RENAME COLUMN requested_by TO somebody").await;
    let answer = api.post(&json!({ "channel_id": "1" })).await;
    answer.assert_problem(500, "internal_error");
    assert!(!answer.body.to_string().contains("requested_by"), "{answer:?}");
    let line = api.log_line("request.failed", answer.header("x-request-id")).await;
    assert_eq!(line["error.kind"], "internal_error");
    assert!(line["error.cause"].as_str().unwrap().contains("requested_by"));
    assert_eq!(api.stored().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_start_waits_for_the_database() {
    let database = TestDatabase::empty().await;
    let port = free_port();
    let process = launch(&Proxy::url(&database, port), &[]);
    process.line(SOON, "database.unreachable").await;
    let _proxy = Proxy::start(&database, port).await;
    let base = base(&process).await;
    let ready = reqwest::get(format!("{base}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200, "it has migrated the empty database");
}

#[tokio::test]
async fn a_database_that_will_never_do_ends_the_start_clearly() {
    let database = TestDatabase::create().await;
    let url = database.url().replace(database.name(), "no_such_database");
    let mut process = launch(&url, &[]);
    assert_eq!(process.wait(SOON).await.code(), Some(1));
    let lines = process.lines().join("\n");
    assert!(lines.contains("no_such_database") && lines.contains("does not exist"), "{lines}");
}
