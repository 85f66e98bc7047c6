//! Rescue of a run from a silent worker, together with the sessions that may still write for it.

use dce_core::db::{DatabaseUrl, connect_ingest};
use dce_core::export::state::RunStatus;
use dce_core::store::transitions::{self, Fence, checkpoint, record_backend};
use sqlx::Executor;
use sqlx::postgres::PgConnection;

use super::support::{BY_SLOTS, REPORT, Store, at};

const ONE_MESSAGE: &str =
    r#"INSERT INTO messages (channel_id, message_id, "timestamp", raw) VALUES ('1', '100', now(), '{}')"#;

/// A session of worker `w`, recorded for this attempt.
async fn noted_session(store: &Store, fence: &Fence) -> PgConnection {
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    let mut session = connect_ingest(&url, "w").await.unwrap();
    record_backend(&mut session, fence).await.unwrap();
    session
}

#[tokio::test]
async fn a_paused_writer_is_terminated_before_the_rescue() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let mut paused = noted_session(&store, &fence).await;
    let expired = store.expire(fence.run_id).await;
    // The latest point at which a writer can be paused: rows and fence written, COMMIT not sent. It holds the row of its
    // run.
    paused.execute("BEGIN").await.unwrap();
    paused.execute(ONE_MESSAGE).await.unwrap();
    checkpoint(&mut paused, &fence, &at(100, 1)).await.unwrap();

    assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), None, "its row is locked: not now");
    assert_eq!(transitions::terminate_backends(&store.pool, &expired).await.unwrap(), 1);
    assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), Some(RunStatus::Pending));

    assert!(paused.execute("COMMIT").await.is_err(), "its session is gone");
    assert_eq!(store.count("SELECT count(*) FROM messages").await, 0);
    assert_eq!(store.count("SELECT message_count FROM export_channels").await, 0);
}

#[tokio::test]
async fn a_session_recorded_after_the_termination_delays_the_rescue() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let before = store.expire(fence.run_id).await;
    let mut late = noted_session(&store, &fence).await;
    assert_eq!(transitions::terminate_backends(&store.pool, &before).await.unwrap(), 0);
    assert_eq!(transitions::rescue(&store.pool, &before).await.unwrap(), None);
    assert_eq!(store.run_status(fence.run_id).await, "running");

    let again = store.expire(fence.run_id).await;
    assert_eq!(transitions::terminate_backends(&store.pool, &again).await.unwrap(), 1);
    assert_eq!(transitions::rescue(&store.pool, &again).await.unwrap(), Some(RunStatus::Pending));
    assert!(late.execute("SELECT 1").await.is_err());
}

#[tokio::test]
async fn a_run_with_a_renewed_lease_is_not_rescued() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let expired = store.expire(fence.run_id).await;
    store.reach(&fence, 100, 1).await;
    assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), None);
    assert_eq!(store.run_status(fence.run_id).await, "running");
}

#[tokio::test]
async fn only_the_recorded_session_is_terminated() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let mut session = noted_session(&store, &fence).await;
    // A pooler gave the session to another client, which set its own name.
    session.execute("SET application_name = 'another'").await.unwrap();
    let expired = store.expire(fence.run_id).await;
    assert_eq!(transitions::terminate_backends(&store.pool, &expired).await.unwrap(), 0);
    session.execute("SELECT 1").await.unwrap();
    assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), Some(RunStatus::Pending));
}

#[tokio::test]
async fn a_session_shared_by_two_runs_survives_the_orderly_end_of_one() {
    let store = Store::with_slots(2).await;
    store.post(&[1, 2]).await;
    let (first, second) = (store.claim("w").await.fence, store.claim("w").await.fence);
    let mut session = noted_session(&store, &first).await;
    record_backend(&mut session, &second).await.unwrap();
    transitions::hand_back(&store.pool, &first, &REPORT, BY_SLOTS).await.unwrap();
    let noted =
        store.text("SELECT ingest_backends::text FROM export_channels WHERE id = $1", first.run_id).await;
    assert_eq!(noted.as_deref(), Some("[]"));
    let noted =
        store.text("SELECT ingest_backends::text FROM export_channels WHERE id = $1", second.run_id).await;
    assert_ne!(noted.as_deref(), Some("[]"));
    session.execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_run_that_repeatedly_loses_its_worker_fails() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    for expected in [RunStatus::Pending, RunStatus::Pending, RunStatus::Failed] {
        let fence = store.claim("w").await.fence;
        let expired = store.expire(fence.run_id).await;
        assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), Some(expected));
        transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    }
    let everything = store.everything(job_id).await;
    assert_eq!(everything["export"]["status"], "failed");
    assert_eq!(everything["export"]["error"]["code"], "lease_expired");
    assert_eq!(everything["export"]["error"]["channel_id"], "1");
}
