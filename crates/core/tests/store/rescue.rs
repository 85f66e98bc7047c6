//! A run is taken from a worker that fell silent, together with the sessions that may still write for it.

use dce_core::db::{DatabaseUrl, connect_ingest};
use dce_core::export::state::RunStatus;
use dce_core::store::runs::{Fence, checkpoint, note_backend};
use dce_core::store::{ends, reconcile};
use sqlx::Executor;
use sqlx::postgres::PgConnection;

use super::support::{BY_SLOTS, REPORT, Store, at};

const ONE_MESSAGE: &str =
    r#"INSERT INTO messages (channel_id, message_id, "timestamp", raw) VALUES ('1', '100', now(), '{}')"#;

/// A session of worker `w`, noted for this attempt.
async fn noted_session(store: &Store, fence: &Fence) -> PgConnection {
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    let mut session = connect_ingest(&url, "w").await.unwrap();
    note_backend(&mut session, fence).await.unwrap();
    session
}

#[tokio::test]
async fn a_paused_writer_is_ended_before_its_run_is_taken() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let mut paused = noted_session(&store, &fence).await;
    let expired = store.expire(fence.run_id).await;
    // As far as a writer can be paused: rows and fence written, COMMIT not sent. It holds the row of its run.
    paused.execute("BEGIN").await.unwrap();
    paused.execute(ONE_MESSAGE).await.unwrap();
    checkpoint(&mut paused, &fence, &at(100, 1)).await.unwrap();

    assert_eq!(reconcile::rescue(&store.pool, &expired).await.unwrap(), None, "its row is locked: not now");
    assert_eq!(reconcile::terminate_backends(&store.pool, &expired).await.unwrap(), 1);
    assert_eq!(reconcile::rescue(&store.pool, &expired).await.unwrap(), Some(RunStatus::Pending));

    assert!(paused.execute("COMMIT").await.is_err(), "its session is gone");
    assert_eq!(store.count("SELECT count(*) FROM messages").await, 0);
    assert_eq!(store.count("SELECT message_count FROM export_channels").await, 0);
}

#[tokio::test]
async fn a_session_noted_after_the_others_were_ended_keeps_its_run_for_a_tick() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let before = store.expire(fence.run_id).await;
    let mut late = noted_session(&store, &fence).await;
    assert_eq!(reconcile::terminate_backends(&store.pool, &before).await.unwrap(), 0);
    assert_eq!(reconcile::rescue(&store.pool, &before).await.unwrap(), None);
    assert_eq!(store.run_status(fence.run_id).await, "running");

    let again = store.expire(fence.run_id).await;
    assert_eq!(reconcile::terminate_backends(&store.pool, &again).await.unwrap(), 1);
    assert_eq!(reconcile::rescue(&store.pool, &again).await.unwrap(), Some(RunStatus::Pending));
    assert!(late.execute("SELECT 1").await.is_err());
}

#[tokio::test]
async fn a_lease_renewed_meanwhile_is_not_taken() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let expired = store.expire(fence.run_id).await;
    store.reach(&fence, 100, 1).await;
    assert_eq!(reconcile::rescue(&store.pool, &expired).await.unwrap(), None);
    assert_eq!(store.run_status(fence.run_id).await, "running");
}

#[tokio::test]
async fn only_the_session_that_was_noted_is_ended() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let mut session = noted_session(&store, &fence).await;
    // A pooler gave the session to somebody else, who says so.
    session.execute("SET application_name = 'another'").await.unwrap();
    let expired = store.expire(fence.run_id).await;
    assert_eq!(reconcile::terminate_backends(&store.pool, &expired).await.unwrap(), 0);
    session.execute("SELECT 1").await.unwrap();
    assert_eq!(reconcile::rescue(&store.pool, &expired).await.unwrap(), Some(RunStatus::Pending));
}

#[tokio::test]
async fn a_session_shared_by_two_runs_outlives_the_one_that_ended_in_order() {
    let store = Store::with_slots(2).await;
    store.post(&[1, 2]).await;
    let (first, second) = (store.claim("w").await.fence, store.claim("w").await.fence);
    let mut session = noted_session(&store, &first).await;
    note_backend(&mut session, &second).await.unwrap();
    ends::hand_back(&store.pool, &first, &REPORT, BY_SLOTS).await.unwrap();
    let noted =
        store.text("SELECT ingest_backends::text FROM export_channels WHERE id = $1", first.run_id).await;
    assert_eq!(noted.as_deref(), Some("[]"));
    let noted =
        store.text("SELECT ingest_backends::text FROM export_channels WHERE id = $1", second.run_id).await;
    assert_ne!(noted.as_deref(), Some("[]"));
    session.execute("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_run_that_loses_its_worker_again_and_again_fails() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    for expected in [RunStatus::Pending, RunStatus::Pending, RunStatus::Failed] {
        let fence = store.claim("w").await.fence;
        let expired = store.expire(fence.run_id).await;
        assert_eq!(reconcile::rescue(&store.pool, &expired).await.unwrap(), Some(expected));
        reconcile::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    }
    let everything = store.everything(job_id).await;
    assert_eq!(everything["export"]["status"], "failed");
    assert_eq!(everything["export"]["error"]["code"], "lease_expired");
    assert_eq!(everything["export"]["error"]["channel_id"], "1");
}
