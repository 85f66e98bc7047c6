use std::path::Path;

use dce_testkit::database::TestDatabase;
use dce_testkit::process::{Running, eventually};
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::support::{Answer, Api, PROGRAM, SOON, launch};

/// An export is blocked inside Postgres, the signal arrives, Postgres continues.
async fn assert_responses_finish_after(signal: Signal) {
    let mut api = Api::start(&[]).await;
    api.get("/health").await; // leaves an idle connection open, which must not delay the end
    let mut blocker = PgConnection::connect(&api.database.url()).await.unwrap();
    let mut lock = blocker.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE exports IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();

    let request = api.request(reqwest::Method::POST, "/exports").json(&json!({ "channel_id": "1" }));
    let answer = tokio::spawn(Answer::send(request));
    let pool = api.database.pool();
    eventually(SOON, "the request waits in Postgres", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dce-api' AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&pool).await.unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    api.process.signal(signal);
    api.process.line(SOON, "api.stopping").await;
    lock.rollback().await.unwrap();

    assert_eq!(answer.await.unwrap().status, 202);
    assert_eq!(api.process.wait(SOON).await.code(), Some(0));
    assert_eq!(api.stored().await, [1, 1, 1]);
}

#[tokio::test]
async fn sigterm_lets_responses_finish() {
    assert_responses_finish_after(Signal::SIGTERM).await;
}

#[tokio::test]
async fn sigint_lets_responses_finish() {
    assert_responses_finish_after(Signal::SIGINT).await;
}

#[tokio::test]
async fn a_port_in_use_is_reported() {
    let api = Api::start(&[]).await;
    let port = api.base.rsplit(':').next().unwrap();
    let mut second = launch(&api.database.url(), &[("PORT", port)]);
    assert_eq!(second.wait(SOON).await.code(), Some(1));
    let lines = second.lines().join("\n");
    assert!(lines.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{lines}");
}

#[tokio::test]
async fn the_healthcheck_distinguishes_a_live_server_from_none() {
    let mut api = Api::start(&[]).await;
    let port = api.base.rsplit(':').next().unwrap().to_owned();
    let check = async |host: &str| {
        // The command depends neither on the database nor on any other setting.
        let environment = [("HOST", host), ("PORT", &port), ("DOTENV", "false")];
        Running::start(Path::new(PROGRAM), &["healthcheck"], environment).wait(SOON).await.code()
    };
    assert_eq!(check("127.0.0.1").await, Some(0));
    assert_eq!(check("0.0.0.0").await, Some(0));
    api.process.signal(Signal::SIGTERM);
    api.process.wait(SOON).await;
    assert_eq!(check("127.0.0.1").await, Some(1));
}

#[tokio::test]
async fn migrate_sets_up_an_empty_database_and_can_be_repeated() {
    let database = TestDatabase::empty().await;
    for _ in 0..2 {
        let url = database.url();
        let environment = [("DATABASE_URL", url.as_str()), ("DOTENV", "false")];
        let mut process = Running::start(Path::new(PROGRAM), &["migrate"], environment);
        assert_eq!(process.wait(SOON).await.code(), Some(0), "{:?}", process.lines());
    }
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM exports").fetch_one(&database.pool()).await.unwrap();
    assert_eq!(count, 0);
}
