//! The test support itself: databases and processes of one test do not affect another.
#![expect(clippy::unwrap_used, reason = "what helpers cannot do fails the test")]

use std::path::Path;
use std::time::Duration;

use dce_testkit::database::TestDatabase;
use dce_testkit::process::{Running, binary, eventually};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use sqlx::{AssertSqlSafe, PgPool};

const BOUND: Duration = Duration::from_secs(30);
const NO_VARIABLES: [(&str, &str); 0] = [];

async fn count(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn every_test_has_the_schema_and_a_database_of_its_own() {
    let (one, two) = tokio::join!(TestDatabase::create(), TestDatabase::create());
    let exports = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'exports'";
    assert_eq!(count(&one.pool(), exports).await, 1);
    sqlx::query("CREATE TABLE mine ()").execute(&one.pool()).await.unwrap();
    assert_eq!(count(&two.pool(), "SELECT count(*) FROM pg_tables WHERE tablename = 'mine'").await, 0);
}

#[tokio::test]
async fn an_empty_database_has_no_tables_and_is_deleted_on_drop() {
    let observer = TestDatabase::empty().await;
    let database = TestDatabase::empty().await;
    assert_eq!(
        count(&database.pool(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await,
        0
    );

    let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", database.name());
    assert_eq!(count(&observer.pool(), &there).await, 1);
    drop(database); // its pool still has a session open
    assert_eq!(count(&observer.pool(), &there).await, 0);
}

/// A shell that prints `ready`, then the signal it received, and exits with 3.
fn shell() -> Running {
    let script = "trap 'echo got TERM >&2; exit 3' TERM; echo ready $GREETING; while :; do sleep 0.01; done";
    Running::start(Path::new("/bin/sh"), &["-c", script], [("GREETING", "hello")])
}

#[tokio::test]
async fn output_signals_and_exit_of_a_process_are_observed() {
    let mut shell = shell();
    assert_eq!(shell.line(BOUND, "ready").await, "ready hello");
    assert!(shell.is_running());
    shell.signal(Signal::SIGTERM);
    assert_eq!(shell.wait(BOUND).await.code(), Some(3));
    assert_eq!(shell.lines(), ["ready hello", "got TERM"]);
}

#[tokio::test]
async fn a_process_is_killed_on_drop() {
    let shell = shell();
    shell.line(BOUND, "ready").await;
    let pid = shell.pid();
    drop(shell);
    eventually(BOUND, "the process is gone", async || (kill(pid, None) == Err(Errno::ESRCH)).then_some(()))
        .await;
}

#[tokio::test]
#[should_panic(expected = "ended without a line")]
async fn waiting_for_a_line_ends_with_the_process() {
    let silent = Running::start(Path::new("/bin/true"), &[], NO_VARIABLES);
    silent.line(BOUND, "never").await;
}

#[tokio::test]
async fn programs_of_the_workspace_are_found() {
    let standin = Running::start(&binary("dce-standin"), &["--version"], NO_VARIABLES);
    standin.line(BOUND, "scenario.json").await; // it reports that there is none
}
