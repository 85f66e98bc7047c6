//! A worker is paused in the middle of a write and continues after a takeover: it writes nothing more.

use std::time::{Duration, Instant};

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use nix::sys::signal::Signal;
use serde_json::json;
use sqlx::{PgPool, Postgres, Transaction};

use crate::archive::{expected, stored};
use crate::resume::{DIES, dies_continued, made_for_the_test};

/// Longer than a lease, a tick of the reconciler, and the start of DCE.
const TAKEOVER: Duration = Duration::from_secs(40);

/// Pauses a worker whose next write waits for a lock of this test, releases the lock so that the server finishes the write, and
/// observes the transaction that nobody will commit.
async fn paused_where(blocked_at: &str, block: impl AsyncFn(&PgPool) -> Transaction<'static, Postgres>) {
    let (folder, file) = dies_continued();
    let (_, messages) = expected(folder.path());
    let scenario = Scenario::new()
        .channel(DIES, Channel::file(&file).rate(100))
        .channel("42", Channel::generated(50, 1));
    let mut service = Service::start(&scenario).await;
    let pool = service.pool();
    let job_id = service.export(&json!({ "channel_id": DIES })).await;
    service.when(&job_id, "messages arrive", |export| export["message_count"].as_i64() > Some(50)).await;

    let blocker = block(&pool).await;
    eventually(TAKEOVER, "the write waits for us", async || waits(&pool, blocked_at).await).await;
    service.workers[0].signal(Signal::SIGSTOP);
    blocker.rollback().await.unwrap();
    let paused = eventually(TAKEOVER, "the write went through and its transaction stays open", async || {
        open_transaction(&pool).await
    })
    .await;

    service.add_worker(&[]).await;
    // The idle limit of a minute would end the transaction, too, so the bound is below it.
    eventually(TAKEOVER, "another worker takes over", async || {
        (service.scenario.attempts_at(DIES).len() == 2).then_some(())
    })
    .await;
    let taken_over = Instant::now();
    assert!(!is_connected(&pool, paused).await, "the paused session is ended before another takes over");
    let kept = service.find(&job_id).await["message_count"].as_i64();
    service.when(&job_id, "the successor commits", |export| export["message_count"].as_i64() > kept).await;
    println!("{blocked_at}: first commit {:.2} s after the take-over", taken_over.elapsed().as_secs_f64());
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &600.into()), "{export}");
    assert_eq!(export["inserted_count"], 600, "each message was inserted by one of the two: {export}");
    assert_eq!(stored(&pool, DIES).await, messages);

    service.workers[0].signal(Signal::SIGCONT);
    service.workers[0].line(TAKEOVER, "attempt.lost").await;
    assert_eq!(service.find(&job_id).await, export, "it changed nothing");
    assert_eq!(stored(&pool, DIES).await, messages);
    service.workers.remove(1); // killed: later writes are the first one's
    let next = service.export_channel("42").await;
    assert_eq!(next["status"], "completed", "and goes on with new work: {next}");
}

/// Whether an ingest session waits for a lock in this statement.
async fn waits(pool: &PgPool, statement: &str) -> Option<()> {
    let waiting: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1
                           AND datname = current_database())",
    )
    .bind(statement)
    .fetch_one(pool)
    .await
    .unwrap();
    waiting.then_some(())
}

/// The worker's session that has written and waits for its client.
async fn open_transaction(pool: &PgPool) -> Option<i32> {
    sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND wait_event_type = 'Client'
                                            AND datname = current_database()",
    )
    .fetch_optional(pool)
    .await
    .unwrap()
}

async fn is_connected(pool: &PgPool, pid: i32) -> bool {
    let found: Option<i32> = sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE pid = $1")
        .bind(pid)
        .fetch_optional(pool)
        .await
        .unwrap();
    found.is_some()
}

#[tokio::test]
async fn a_worker_paused_inside_a_copy_is_fenced_out() {
    paused_where("COPY messages%", async |pool| {
        // A later message, not committed: the worker's COPY waits for the end of this transaction.
        let mut tx = pool.begin().await.unwrap();
        sqlx::query(
            r#"INSERT INTO messages (channel_id, message_id, "timestamp", raw)
               VALUES ($1, $2, clock_timestamp(), '{}')"#,
        )
        .bind(DIES)
        .bind(made_for_the_test(50).to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx
    })
    .await;
}

#[tokio::test]
async fn a_worker_paused_between_checkpoint_and_commit_is_fenced_out() {
    paused_where("UPDATE export_channels%cursor_message_id%", async |pool| {
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("SELECT FROM export_channels FOR UPDATE").execute(&mut *tx).await.unwrap();
        tx
    })
    .await;
}
