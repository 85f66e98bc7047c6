use dce_local::PrivatePostgres;
use dce_testkit::database::TestDatabase;
use dce_testkit::process::{eventually, free_port};
use nix::sys::signal::Signal;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::task::spawn_blocking;

use crate::proxy::Proxy;
use crate::support::{Answer, Api, SOON, base, client, launch};

/// A request to each route that needs the database.
fn requests(client: &Client, base: &str, export: &str) -> Vec<RequestBuilder> {
    let path = |path: &str| format!("{base}{path}");
    vec![
        client.get(path("/readyz")),
        client.get(path(export)),
        client.post(path("/exports")).json(&json!({ "channel_id": "1" })),
        client.post(path(&format!("{export}/cancel"))),
        client.post(path(&format!("{export}/retry"))),
    ]
}

/// Sends all requests at once, more than there are connections.
async fn assert_unavailable(requests: Vec<RequestBuilder>) {
    let asked: Vec<_> = requests.into_iter().map(|request| tokio::spawn(Answer::send(request))).collect();
    for answer in asked {
        let answer = answer.await.unwrap();
        answer.assert_problem(503, "database_unavailable");
        assert_eq!(answer.header("retry-after"), "5");
    }
}

#[tokio::test]
async fn without_the_database_requests_are_503_and_the_process_stays_alive() {
    let database = TestDatabase::create().await;
    let port = free_port();
    let proxy = Proxy::start(&database, port).await;
    let url = Proxy::url(&database, port);
    let api = Api::start_on(database, &url, &[]).await;
    let location = api.post(&json!({ "channel_id": "1" })).await.header("location").to_owned();

    drop(proxy);
    assert_unavailable(requests(&client(), &api.base, &location)).await;
    assert_eq!(api.get("/health").await.status, 200);
    assert_eq!(api.post(&json!({})).await.status, 422, "what needs no database is answered as ever");

    let _proxy = Proxy::start(&api.database, port).await;
    eventually(SOON, "ready again", async || (api.get("/readyz").await.status == 200).then_some(())).await;
    assert_eq!(api.get(&location).await.status, 200);
}

#[tokio::test]
async fn a_read_only_database_serves_reads_and_refuses_writes() {
    let api = Api::start(&[]).await;
    let location = api.post(&json!({ "channel_id": "1" })).await.header("location").to_owned();
    api.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dce-api'",
    )
    .await;
    let client = client();
    for write in requests(&client, &api.base, &location).split_off(2) {
        let answer = Answer::send(write).await;
        answer.assert_problem(503, "database_read_only");
        assert_eq!(answer.header("retry-after"), "30");
    }
    let shown = api.get(&location).await.body;
    assert_eq!(shown["waiting"]["code"], "database_read_only", "{shown}");
    let ready = api.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("degraded")));
    assert_eq!(ready.body["database"], "read_only");
    assert_eq!(ready.body["problems"][0]["code"], "database_read_only");

    api.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dce-api'",
    )
    .await;
    assert_eq!(api.get("/readyz").await.body["status"], "ready");
    assert_eq!(Answer::send(api.request(Method::POST, &format!("{location}/cancel"))).await.status, 202);
}

#[tokio::test]
async fn requests_to_a_silent_database_time_out_and_recover() {
    let database = TestDatabase::create().await;
    let port = free_port();
    let proxy = Proxy::start(&database, port).await;
    let url = Proxy::url(&database, port);
    let mut api = Api::start_on(database, &url, &[]).await;
    let location = api.post(&json!({ "channel_id": "1" })).await.header("location").to_owned();
    // Every connection is in the middle of a request when the database falls silent.
    let mut blocker = PgConnection::connect(&api.database.url()).await.unwrap();
    let mut lock = blocker.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE exports IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let client = client();
    let given_up = assert_unavailable(requests(&client, &api.base, &location).split_off(1)); // readyz waits for no lock
    let silence = async {
        let pool = api.database.pool();
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        eventually(SOON, "three requests wait in Postgres", async || {
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&pool).await.unwrap();
            (waiting == 3).then(|| proxy.fall_silent())
        })
        .await;
        lock.rollback().await.unwrap();
    };
    tokio::join!(given_up, silence);
    assert_eq!(api.get("/health").await.status, 200);

    proxy.take_new_connections();
    eventually(SOON, "ready again", async || (api.get("/readyz").await.status == 200).then_some(())).await;
    for request in requests(&client, &api.base, &location).into_iter().take(4) {
        let answer = Answer::send(request).await;
        assert!(answer.status < 300, "no connection is left that says nothing: {answer:?}");
    }

    proxy.fall_silent();
    api.process.signal(Signal::SIGTERM);
    assert_eq!(api.process.wait(SOON).await.code(), Some(0), "it waits for no goodbye");
}

#[tokio::test]
async fn after_a_restart_of_postgres_the_first_requests_work() {
    let directory = tempfile::TempDir::new().unwrap();
    let (home, port) = (directory.path().join("postgres"), free_port());
    let start = async || {
        let home = home.clone();
        spawn_blocking(move || PrivatePostgres::persistent(&home, Some(port))).await.unwrap().unwrap()
    };
    let postgres = start().await;
    let process = launch(&postgres.url("postgres"), &[]);
    let base = base(&process).await;
    let client = client();
    let body = json!({ "channel_id": "1" });
    let create = || client.post(format!("{base}/exports")).json(&body);
    let export = Answer::send(create()).await.header("location").to_owned();

    spawn_blocking(move || drop(postgres)).await.unwrap();
    assert_unavailable(requests(&client, &base, &export)).await;
    let postgres = start().await;
    for request in requests(&client, &base, &export) {
        let answer = Answer::send(request).await;
        assert!(answer.status < 300, "{answer:?}");
    }
    spawn_blocking(move || drop(postgres)).await.unwrap();
}

#[tokio::test]
async fn a_database_without_a_free_connection_is_503_and_no_internal_error() {
    let database = TestDatabase::create().await;
    let port = free_port();
    let _proxy = Proxy::start(&database, port).await;
    let url = Proxy::url(&database, port).replace("postgres@", "crowded@");
    let pool = database.pool();
    sqlx::raw_sql(
        "CREATE ROLE crowded LOGIN BYPASSRLS; GRANT pg_read_all_data, pg_write_all_data TO crowded;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, apalis TO crowded",
    )
    .execute(&pool)
    .await
    .unwrap();
    let api = Api::start_on(database, &url, &[("MIGRATE_ON_START", "false")]).await;
    assert_eq!(api.get("/readyz").await.status, 200);
    let created = api.post(&json!({ "channel_id": "1" })).await;
    assert_eq!(created.status, 202, "{created:?} {:?}", api.process.lines());
    let location = created.header("location");
    api.sql(
        "ALTER ROLE crowded CONNECTION LIMIT 0;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dce-api'
                                                                  AND datname = current_database()",
    )
    .await;
    assert_unavailable(requests(&client(), &api.base, location)).await;
    api.sql("ALTER ROLE crowded CONNECTION LIMIT -1").await;
    assert_eq!(api.get(location).await.status, 200);
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
async fn an_internal_error_is_500_without_internals_and_logged_once() {
    let api = Api::start(&[]).await;
    api.sql("ALTER TABLE exports ADD CONSTRAINT somebody CHECK (requested_by IS NOT NULL)").await;
    let answer = api.post(&json!({ "channel_id": "1" })).await;
    answer.assert_problem(500, "internal_error");
    assert!(!answer.body.to_string().contains("somebody"), "{answer:?}");
    let line = api.log_line("request.failed", answer.header("x-request-id")).await;
    assert_eq!(line["error.kind"], "internal_error");
    assert!(line["error.cause"].as_str().unwrap().contains("somebody"));
    assert_eq!(api.stored().await, [0, 0, 0]);
}

#[tokio::test]
async fn the_start_waits_for_the_database() {
    let database = TestDatabase::empty().await;
    let port = free_port();
    let process = launch(&Proxy::url(&database, port), &[]);
    process.line(SOON, "database.unreachable").await;
    let _proxy = Proxy::start(&database, port).await;
    let base = base(&process).await;
    let ready = client().get(format!("{base}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200, "it has migrated the empty database");
}

#[tokio::test]
async fn an_unusable_database_ends_the_start_with_a_clear_error() {
    let database = TestDatabase::create().await;
    let url = database.url().replace(database.name(), "no_such_database");
    let mut process = launch(&url, &[]);
    assert_eq!(process.wait(SOON).await.code(), Some(1));
    let lines = process.lines().join("\n");
    assert!(lines.contains("no_such_database") && lines.contains("does not exist"), "{lines}");
}
