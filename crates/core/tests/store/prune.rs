//! Pruning deletes exactly the old rows and yields to writers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dce_core::db::{DatabaseUrl, PgConnection, connect_maintenance};
use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_core::store::reading::export;
use dce_core::store::retention::batched_deletion::{DeletedRows, is_ingesting};
use dce_core::store::retention::prune::{self, DeletedExports, MessagePruning};
use dce_core::store::transitions;
use sqlx::Connection;

use super::archive_fixture::MESSAGES;
use super::support::{BY_SLOTS, DONE, REPORT, Store};

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Store {
    async fn maintenance(&self) -> PgConnection {
        connect_maintenance(&DatabaseUrl::parse(&self.database.url()).unwrap(), "test").await.unwrap()
    }

    async fn prune(&self, channel: Option<u64>, before: DateTime<Utc>) -> DeletedRows {
        let mut session = self.maintenance().await;
        let channel = channel.map(Snowflake::new);
        let counted = prune::count_messages(&mut session, channel, before).await.unwrap();
        let mut old = MessagePruning::begin(&mut session, channel, before).await.unwrap();
        let mut all = DeletedRows::default();
        while let Some(some) = old.next(&mut session).await.unwrap() {
            all += some;
        }
        assert_eq!(counted, all, "what was counted is what is deleted");
        all
    }
}

#[tokio::test]
async fn exactly_the_old_messages_and_their_versions_are_deleted() {
    let store = Store::with_archive().await;
    let mut session = store.session().await;
    // Between the 4500th and the 4501st.
    let before = prune::time_ago(&mut session, HOUR * 499 + HOUR / 2).await.unwrap();
    assert_eq!(store.prune(Some(2), before).await, DeletedRows { messages: 4500, versions: 45 });
    assert_eq!(store.archived().await, (3 * MESSAGES - 4500, 105));
    let left = "SELECT min(message_id::int)::bigint FROM messages WHERE channel_id = '2'";
    assert_eq!(store.count(left).await, 4501);

    assert_eq!(store.prune(None, before).await, DeletedRows { messages: 9000, versions: 90 });
    assert_eq!(store.archived().await, (1500, 15));
    assert_eq!(store.prune(None, before).await, DeletedRows::default());
    let everything = prune::time_ago(&mut session, Duration::ZERO).await.unwrap();
    assert_eq!(store.prune(None, everything).await, DeletedRows { messages: 1500, versions: 15 });
    assert_eq!(store.archived().await, (0, 0));
}

#[tokio::test]
async fn messages_of_the_same_time_are_all_deleted() {
    let store = Store::with_archive().await;
    store.execute("UPDATE messages SET \"timestamp\" = '2020-01-01T00:00:00Z' WHERE channel_id = '1'").await;
    let before = "2020-01-02T00:00:00Z".parse().unwrap();
    assert_eq!(store.prune(None, before).await, DeletedRows { messages: 5000, versions: 50 });
    assert_eq!(store.archived().await, (2 * MESSAGES, 100));
}

#[tokio::test]
async fn pruning_yields_to_writers_and_keeps_correct_counts() {
    let store = Store::with_archive().await;
    let mut session = store.maintenance().await;
    let before = prune::time_ago(&mut session, Duration::ZERO).await.unwrap();
    let mut old = MessagePruning::begin(&mut session, Some(Snowflake::new(1)), before).await.unwrap();
    // Like a batch that has not committed yet.
    let mut worker = store.session().await;
    let mut batch = worker.begin().await.unwrap();
    sqlx::query("UPDATE channels SET archived_count = archived_count + 1 WHERE channel_id = '1'")
        .execute(&mut *batch)
        .await
        .unwrap();
    let refused = old.next(&mut session).await.unwrap_err();
    assert!(refused.is_transient() && !refused.is_unavailable(), "{refused}");
    batch.rollback().await.unwrap();
    assert_eq!(store.archived().await, (3 * MESSAGES, 150), "nothing was deleted");

    let mut all = DeletedRows::default();
    while let Some(some) = old.next(&mut session).await.unwrap() {
        assert!(some.messages <= 2000, "a transaction is short: {some:?}");
        all += some;
    }
    assert_eq!(all, DeletedRows { messages: 5000, versions: 50 });
    assert_eq!(store.archived().await, (2 * MESSAGES, 100));
}

#[tokio::test]
async fn old_exports_are_deleted_with_their_rows_and_active_ones_stay() {
    let store = Store::with_slots(1).await;
    let mut ended = Vec::new();
    for _ in 0..25 {
        let job_id = store.post(&[1, 2]).await;
        for _ in 0..2 {
            let fence = store.claim("w").await.fence;
            transitions::complete(&store.pool, &fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
        }
        ended.push(job_id);
    }
    let failed = store.post(&[3]).await;
    let fence = store.claim("w").await.fence;
    let failure = Failure::new(FailureKind::MissingAccess);
    transitions::fail(&store.pool, &fence, &failure, 0.0, &REPORT, BY_SLOTS).await.unwrap();
    store.execute("UPDATE exports SET created_at = created_at - interval '9 d', finished_at = finished_at - interval '9 d'").await;
    let fresh = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    transitions::complete(&store.pool, &fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    let running = store.post(&[1]).await;
    let run = store.claim("w").await;
    let pending = store.post(&[1]).await;
    store
        .execute("UPDATE exports SET created_at = created_at - interval '9 d' WHERE finished_at IS NULL")
        .await;

    let mut session = store.maintenance().await;
    assert!(is_ingesting(&mut session).await.unwrap());
    let before = prune::time_ago(&mut session, 8 * 24 * HOUR).await.unwrap();
    let counted = prune::count_exports(&mut session, before).await.unwrap();
    assert_eq!(counted, DeletedExports { exports: 26, runs: 51, attempts: 51 });

    // An export that is being retried at this time is locked.
    let mut other = store.session().await;
    let mut retry = other.begin().await.unwrap();
    sqlx::query("SELECT FROM exports WHERE job_id = $1 FOR NO KEY UPDATE")
        .bind(failed)
        .execute(&mut *retry)
        .await
        .unwrap();
    let mut all = DeletedExports::default();
    loop {
        let some = prune::delete_exports(&mut session, before).await.unwrap();
        if some.exports == 0 {
            break;
        }
        assert!(some.exports <= 20, "a transaction is short: {some:?}");
        all += some;
    }
    retry.rollback().await.unwrap();
    assert_eq!(all, DeletedExports { exports: 25, runs: 50, attempts: 50 });
    assert!(export::find(&store.pool, ended[0]).await.unwrap().is_none());
    for job_id in [failed, fresh, running, pending] {
        assert!(export::find(&store.pool, job_id).await.unwrap().is_some());
    }
    assert!(matches!(
        transitions::retry(&store.pool, failed, BY_SLOTS).await.unwrap(),
        transitions::ControlOutcome::Now(_)
    ));
    assert_eq!(prune::delete_exports(&mut session, before).await.unwrap(), DeletedExports::default());
    transitions::complete(&store.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.status(running).await, "completed");
}
