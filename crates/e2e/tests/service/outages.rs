//! The database is down or read-only while exports run.

use std::time::Duration;

use dce_local::Shutdown;
use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::database::OwnServer;
use dce_testkit::process::eventually;
use dce_testkit::proxy::{Lost, Proxy};
use dce_testkit::service::Service;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, Executor};

use crate::archive::stored;

/// Longer than any pause of the worker.
const BOUND: Duration = Duration::from_secs(60);
/// How long the server is down.
const AWAY: Duration = Duration::from_secs(8);

/// Two channels that take twenty seconds each, and a third one.
fn slow_channels() -> Scenario {
    Scenario::new()
        .channel("1", Channel::generated(8000, 1).rate(400))
        .channel("2", Channel::generated(8000, 2).rate(400))
        .channel("3", Channel::generated(50, 3))
}

/// Exports both and waits until messages of both are archived.
async fn going_on(service: &Service) -> String {
    let job_id = service.export(&json!({ "channel_ids": ["1", "2"] })).await;
    let arrived = |export: &Value| {
        export["runs"].as_array().unwrap().iter().all(|run| run["message_count"].as_i64() > Some(300))
    };
    service.when(&job_id, "messages of both arrive", arrived).await;
    job_id
}

async fn assert_complete(service: &Service, export: &Value) {
    assert_eq!(
        (&export["status"], &export["message_count"], &export["inserted_count"]),
        (&"completed".into(), &16_000.into(), &16_000.into()),
        "{export}"
    );
    for channel in ["1", "2"] {
        assert_eq!(stored(&service.pool(), channel).await.len(), 8000);
    }
}

fn is_running(service: &Service, channel: &str) -> bool {
    let pid = service.scenario.attempts_at(channel)[0].pid;
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
}

async fn restarted(how: Shutdown) {
    let server = OwnServer::start().await;
    let mut service = Service::api_only_on(&server.url(), server.pool(), &slow_channels(), &[]).await;
    service.add_worker(&[]).await;
    let job_id = going_on(&service).await;
    let back = tokio::spawn(server.restart(how, AWAY));
    eventually(BOUND, "the API says that the database is away", async || {
        let (status, problem) = service.get(&format!("/exports/{job_id}")).await;
        (status == StatusCode::SERVICE_UNAVAILABLE && problem["code"] == "database_unavailable").then_some(())
    })
    .await;
    let _server = back.await.unwrap();
    eventually(BOUND, "the API recovers", async || {
        (service.get(&format!("/exports/{job_id}")).await.0 == StatusCode::OK).then_some(())
    })
    .await;
    assert!(is_running(&service, "1") && is_running(&service, "2"), "DCE survives");
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export).await;
    for channel in ["1", "2"] {
        assert_eq!(service.scenario.attempts_at(channel).len(), 1, "no attempt was started again");
    }
    assert!(export["runs"].as_array().unwrap().iter().all(|run| run["attempt"] == 1), "{export}");
}

#[tokio::test]
async fn exports_survive_a_restart_of_the_server() {
    restarted(Shutdown::Fast).await;
}

#[tokio::test]
async fn exports_survive_a_crash_of_the_server() {
    restarted(Shutdown::Immediate).await;
}

#[tokio::test]
async fn killed_sessions_cost_no_attempt() {
    let mut service = Service::api_only(&slow_channels(), &[]).await;
    service.add_worker(&[]).await;
    let job_id = going_on(&service).await;
    for _ in 0..5 {
        let before = service.find(&job_id).await["message_count"].as_i64();
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .execute(&service.pool())
        .await
        .unwrap();
        service.when(&job_id, "it goes on", |export| export["message_count"].as_i64() > before).await;
    }
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export).await;
    assert!(export["runs"].as_array().unwrap().iter().all(|run| run["attempt"] == 1), "{export}");
}

#[tokio::test]
async fn a_read_only_database_stops_exports_until_it_is_writable() {
    let server = OwnServer::start().await;
    let mut service = Service::api_only_on(&server.url(), server.pool(), &slow_channels(), &[]).await;
    service.add_worker(&[]).await;
    let job_id = going_on(&service).await;
    let pool = server.pool();
    let set = async |sql: &'static str| {
        pool.execute(sql).await.unwrap();
        pool.execute("SELECT pg_reload_conf()").await.unwrap();
    };
    set("ALTER SYSTEM SET default_transaction_read_only = on").await;
    service.workers[0].line(BOUND, "database.read_only").await;
    eventually(BOUND, "DCE is stopped", async || {
        (!is_running(&service, "1") && !is_running(&service, "2")).then_some(())
    })
    .await;
    let (status, problem) = service.post(&json!({ "channel_id": "3" })).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &"database_read_only".into()));
    assert_eq!(service.find(&job_id).await["status"], "running", "reads go on");
    assert_eq!(service.get("/readyz").await.1["database"], "read_only");

    set("ALTER SYSTEM RESET default_transaction_read_only").await;
    service.workers[0].line(BOUND, "database.writable").await;
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export).await;
    for run in export["runs"].as_array().unwrap() {
        assert_eq!((&run["attempt"], &run["failures"]), (&2.into(), &0.into()), "{run}");
    }
    let said = service.workers[0].lines().iter().filter(|line| line.contains("database.read_only")).count();
    assert_eq!(said, 1);
}

#[tokio::test]
async fn a_commit_whose_request_or_answer_is_lost_counts_once() {
    let server = OwnServer::start().await;
    let proxy = Proxy::start(server.socket()).await.unwrap();
    let mut service = Service::api_only_on(&server.url(), server.pool(), &slow_channels(), &[]).await;
    let through_the_proxy = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
    service.add_worker(&[("DATABASE_URL", &through_the_proxy)]).await;
    let job_id = going_on(&service).await;
    for lost in [Lost::Answer, Lost::Request].into_iter().cycle().take(10) {
        let before = proxy.commits_lost();
        proxy.lose_commit(lost);
        eventually(BOUND, "a COMMIT is lost", async || (proxy.commits_lost() > before).then_some(())).await;
    }
    assert_complete(&service, &service.ended(&job_id).await).await;
}

#[tokio::test]
async fn sessions_opened_on_a_read_only_database_are_not_kept() {
    let mut service = Service::api_only(&slow_channels(), &[]).await;
    service.add_worker(&[]).await;
    let job_id = going_on(&service).await;
    let pool = service.pool();
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&pool).await.unwrap();
    let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    // Decided when a session begins, unlike the server's own setting.
    let set = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
    pool.execute(sqlx::AssertSqlSafe(set)).await.unwrap();
    pool.execute(end_sessions).await.unwrap();
    service.workers[0].line(BOUND, "database.read_only").await;
    let mut own = sqlx::PgConnection::connect(&service.url()).await.unwrap();
    own.execute("SET default_transaction_read_only = off").await.unwrap();
    let reset = format!("ALTER DATABASE {database} RESET default_transaction_read_only");
    own.execute(sqlx::AssertSqlSafe(reset)).await.unwrap();
    let export = service.ended(&job_id).await;
    assert_complete(&service, &export).await;
    let attempts = service.scenario.attempts_at("1").len();
    assert!(attempts <= 3, "DCE is not started again and again: {attempts}");
}

#[tokio::test]
async fn a_worker_cut_off_from_the_database_writes_nothing_after_a_takeover() {
    let server = OwnServer::start().await;
    let proxy = Proxy::start(server.socket()).await.unwrap();
    let scenario = Scenario::new()
        .channel("1", Channel::generated(20_000, 1).rate(500))
        .channel("3", Channel::generated(50, 3));
    let mut service = Service::api_only_on(&server.url(), server.pool(), &scenario, &[]).await;
    let through_the_proxy = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
    service.add_worker(&[("DATABASE_URL", &through_the_proxy)]).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    service.when(&job_id, "messages arrive", |export| export["message_count"].as_i64() > Some(300)).await;
    proxy.freeze(true);
    service.add_worker(&[]).await;
    eventually(BOUND, "another worker takes over", async || {
        (service.scenario.attempts_at("1").len() == 2).then_some(())
    })
    .await;
    proxy.freeze(false);
    service.workers[0].line(BOUND, "attempt.lost").await;
    eventually(BOUND, "its DCE is gone", async || (!is_running(&service, "1")).then_some(())).await;
    let export = service.ended(&job_id).await;
    assert_eq!(
        (&export["status"], &export["message_count"], &export["inserted_count"]),
        (&"completed".into(), &20_000.into(), &20_000.into()),
        "{export}"
    );
    service.workers.remove(1);
    assert_eq!(service.export_channel("3").await["status"], "completed", "it goes on with new work");
}
