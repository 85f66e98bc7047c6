//! Tasks are references: the run decides whether one is claimed.

use std::collections::HashSet;

use dce_core::db::DatabaseUrl;
use dce_core::notifications::{Listener, Notification};
use dce_core::queue::Task;
use dce_core::store::StoreError;
use dce_core::store::transitions::{self, Claim};
use tokio::time::timeout;
use uuid::Uuid;

use super::support::{BOUND, BY_SLOTS, Store, new_export};

/// Claims with a task that must be refused.
async fn assert_stale(store: &Store, task: &Task) {
    let claim = transitions::claim(&store.pool, task, "w").await.unwrap();
    assert!(matches!(claim, Claim::Nothing), "{claim:?}");
    let status: String = sqlx::query_scalar("SELECT status FROM apalis.jobs WHERE id = $1")
        .bind(&task.id)
        .fetch_one(&store.pool)
        .await
        .unwrap();
    assert_eq!(status, "Done");
}

#[tokio::test]
async fn a_stale_task_is_acknowledged_without_a_claim() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let stale = store.fetch("w").await.expect("a task");
    transitions::cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    transitions::retry(&store.pool, job_id, BY_SLOTS).await.unwrap();

    let before = store.everything(job_id).await;
    assert_stale(&store, &stale).await;
    assert_eq!(store.everything(job_id).await, before);
    assert_eq!(store.claim("w").await.job_id, job_id, "its other task wins");
    assert_eq!(store.fetch("w").await, None);
}

#[tokio::test]
async fn a_task_of_an_ended_export_is_acknowledged_and_changes_nothing() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let stale = store.fetch("w").await.expect("a task");
    transitions::cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    let before = store.everything(job_id).await;
    assert_stale(&store, &stale).await;
    assert_eq!(store.everything(job_id).await, before);
}

#[tokio::test]
async fn foreign_tasks_stop_no_worker() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let foreign = [
        ("01JZZZZZZZZZZZZZZZZZZZZZZ1", "no json".to_owned()),
        (
            "01JZZZZZZZZZZZZZZZZZZZZZZ2",
            r#"{"v":99,"kind":"run","id":"00000000-0000-0000-0000-000000000000"}"#.into(),
        ),
        ("01JZZZZZZZZZZZZZZZZZZZZZZ3", format!(r#"{{"v":1,"kind":"run","id":"{}"}}"#, Uuid::now_v7())),
    ];
    for (id, payload) in &foreign {
        sqlx::query(
            "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
             SELECT $1, job_type, $2, 'Pending', 0, 1, run_at, priority + 1 FROM apalis.jobs WHERE job_type = 'dce-exports' LIMIT 1",
        )
        .bind(id)
        .bind(payload.as_bytes())
        .execute(&store.pool)
        .await
        .unwrap();
    }
    for _ in &foreign {
        assert_stale(&store, &store.fetch("w").await.expect("a task")).await;
    }
    assert_eq!(store.claim("w").await.job_id, job_id);
}

#[tokio::test]
async fn tasks_are_fetched_in_the_order_of_admission() {
    let store = Store::with_slots(40).await;
    let mut admitted = Vec::new();
    for channel in 0..10 {
        let job_id = store.post(&[100 + 3 * channel, 101 + 3 * channel, 102 + 3 * channel]).await;
        let runs: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM export_channels WHERE job_id = $1 ORDER BY run_at, id")
                .bind(job_id)
                .fetch_all(&store.pool)
                .await
                .unwrap();
        admitted.extend(runs);
    }
    let mut fetched = Vec::new();
    while let Some(task) = store.fetch("w").await {
        fetched.extend(task.run_id);
    }
    assert_eq!(fetched, admitted);
}

#[tokio::test]
async fn a_task_is_fetched_once() {
    let store = Store::with_slots(40).await;
    store.register("v", 1).await;
    store.post(&(1..=40).collect::<Vec<_>>()).await;
    let drain = async |worker| {
        let mut fetched = Vec::new();
        while let Some(task) = store.fetch(worker).await {
            fetched.extend(task.run_id);
        }
        fetched
    };
    let (mut all, others) = tokio::join!(drain("v"), drain("w"));
    all.extend(others);
    assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (40, 40));
}

#[tokio::test]
async fn only_lost_tasks_are_renewed() {
    let store = Store::with_slots(5).await;
    store.post(&[1, 2, 3, 4, 5]).await;
    let mut fetched = Vec::new();
    for _ in 0..4 {
        fetched.push(store.fetch("w").await.expect("a task"));
    }
    let [deleted, done, forgotten, fresh] = fetched.try_into().unwrap();
    let change = async |sql: &'static str, task: &Task| {
        sqlx::query(sql).bind(&task.id).execute(&store.pool).await.unwrap();
    };
    change("DELETE FROM apalis.jobs WHERE id = $1", &deleted).await;
    change("UPDATE apalis.jobs SET status = 'Done' WHERE id = $1", &done).await;
    change("UPDATE apalis.jobs SET lock_at = clock_timestamp() - interval '21 s' WHERE id = $1", &forgotten)
        .await;

    let done_now = transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    assert_eq!((done_now.renewed, done_now.admitted), (3, 0));
    let again = transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    assert_eq!((again.renewed, again.admitted), (0, 0), "renewed once");

    assert!(
        matches!(transitions::claim(&store.pool, &forgotten, "w").await.unwrap(), Claim::Nothing),
        "too late"
    );
    assert!(matches!(transitions::claim(&store.pool, &fresh, "w").await.unwrap(), Claim::Won(_)));
    let mut claimed = HashSet::new();
    for _ in 0..4 {
        claimed.insert(store.claim("w").await.fence.run_id);
    }
    assert_eq!(claimed.len(), 4);
    assert!([deleted, done, forgotten].iter().all(|task| claimed.contains(&task.run_id.unwrap())));
}

#[tokio::test]
async fn listeners_are_notified_when_an_export_is_committed() {
    let store = Store::with_slots(1).await;
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    let mut notices = Listener::for_workers(&url, "w").await.unwrap();
    store.post(&[1]).await;
    let notice = timeout(BOUND, notices.recv()).await.expect("in time").unwrap();
    assert_eq!(notice, Notification::NewTask);
    store.claim("w").await;
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_no_task() {
    let store = Store::with_slots(4).await;
    let refused = transitions::create(&store.pool, &new_export(&[1, 2, 1]), BY_SLOTS).await;
    assert!(matches!(refused, Err(StoreError::Database(_))), "a channel is exported once: {refused:?}");
    let left = "SELECT (SELECT count(*) FROM exports) + (SELECT count(*) FROM export_channels) + (SELECT count(*) FROM apalis.jobs)";
    assert_eq!(store.count(left).await, 0);
}

#[tokio::test]
async fn repeating_a_creation_after_a_lost_answer_creates_one_export() {
    let store = Store::with_slots(4).await;
    let new = new_export(&[1, 2]);
    let first = transitions::create(&store.pool, &new, BY_SLOTS).await.unwrap();
    assert_eq!(transitions::create(&store.pool, &new, BY_SLOTS).await.unwrap(), first);
    assert_eq!(store.count("SELECT count(*) FROM export_channels").await, 2);
    assert_eq!(store.count("SELECT count(*) FROM apalis.jobs").await, 2);
}
