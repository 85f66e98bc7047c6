//! A worker that has lost its run changes nothing; a repeated end changes nothing.

use std::collections::HashSet;
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::phase::Phase;
use dce_core::export::state::RunStatus;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::transitions::{self, Fence, LeaseState, heartbeat};

use super::support::{BY_SLOTS, DONE, REPORT, Store, at};

/// All writes of a worker with this fence are refused.
async fn assert_lost(store: &Store, fence: &Fence) {
    let mut session = store.session().await;
    let checkpoint = transitions::checkpoint(&mut session, fence, &at(999, 999)).await;
    let note = transitions::record_backend(&mut session, fence).await;
    let failure = Failure::new(FailureKind::MissingAccess);
    let ends = [
        transitions::complete(&store.pool, fence, &DONE, &REPORT, BY_SLOTS).await,
        transitions::fail(&store.pool, fence, &failure, 0.5, &REPORT, BY_SLOTS).await,
        transitions::hand_back(&store.pool, fence, &REPORT, BY_SLOTS).await,
        transitions::wait_for_proof(&store.pool, fence, &failure, &REPORT, BY_SLOTS).await,
    ];
    let phases = [
        transitions::set_phase(&store.pool, fence, Phase::Verifying).await,
        transitions::begin_reading(&store.pool, fence).await,
    ];
    assert!(matches!(checkpoint, Err(StoreError::Lost)), "{checkpoint:?}");
    assert!(matches!(note, Err(StoreError::Lost)), "{note:?}");
    assert!(ends.iter().all(|end| matches!(end, Err(StoreError::Lost))), "{ends:?}");
    assert!(phases.iter().all(|phase| matches!(phase, Err(StoreError::Lost))), "{phases:?}");
    let beats = heartbeat(&store.pool, &fence.worker, &[(fence.run_id, fence.attempt)]).await.unwrap();
    assert_eq!(beats[&fence.run_id], LeaseState::Lost);
}

#[tokio::test]
async fn a_worker_whose_run_was_rescued_cannot_write() {
    let store = Store::with_slots(2).await;
    let job_id = store.post(&[1]).await;
    let first = store.claim("w").await.fence;
    store.reach(&first, 100, 7).await;
    let expired = store.expire(first.run_id).await;
    assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), Some(RunStatus::Pending));

    let pending = store.everything(job_id).await;
    assert_lost(&store, &first).await;
    assert_eq!(store.everything(job_id).await, pending);

    // The same worker may claim the run again: the attempt distinguishes both.
    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    let second = store.claim("w").await;
    assert_eq!(
        (second.fence.attempt, second.cursor.map(Snowflake::get), second.message_count),
        (2, Some(100), 7)
    );
    let running = store.everything(job_id).await;
    assert_lost(&store, &first).await;
    assert_eq!(store.everything(job_id).await, running);

    // Another worker with the right attempt is not the owner either.
    assert_lost(&store, &Fence { worker: "x".into(), ..second.fence.clone() }).await;
    assert_eq!(store.everything(job_id).await, running);
    transitions::complete(&store.pool, &second.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.status(job_id).await, "completed");
}

#[tokio::test]
async fn repeating_an_end_after_a_lost_answer_changes_nothing() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1, 2, 3]).await;
    // Discord requests a pause, so that the run stays as the end left it.
    let failure =
        Failure { retry_after: Some(Duration::from_hours(1)), ..Failure::new(FailureKind::RateLimited) };

    let completed = store.claim("w").await.fence;
    let complete = || transitions::complete(&store.pool, &completed, &DONE, &REPORT, BY_SLOTS);
    assert_eq!(complete().await.unwrap(), RunStatus::Completed);
    let once = store.everything(job_id).await;
    assert_eq!(complete().await.unwrap(), RunStatus::Completed);
    assert_eq!(store.everything(job_id).await, once);
    assert!(
        matches!(
            transitions::hand_back(&store.pool, &completed, &REPORT, BY_SLOTS).await,
            Err(StoreError::Lost)
        ),
        "another end than the one that happened"
    );

    let failed = store.claim("w").await.fence;
    for _ in 0..2 {
        let status = transitions::fail(&store.pool, &failed, &failure, 0.5, &REPORT, BY_SLOTS).await.unwrap();
        assert_eq!(status, RunStatus::Pending);
    }
    let failures: i32 = sqlx::query_scalar("SELECT failures FROM export_channels WHERE id = $1")
        .bind(failed.run_id)
        .fetch_one(&store.pool)
        .await
        .unwrap();
    assert_eq!(failures, 1, "counted once");

    let handed_back = store.claim("w").await.fence;
    let hand_back = || transitions::hand_back(&store.pool, &handed_back, &REPORT, BY_SLOTS);
    assert_eq!(hand_back().await.unwrap(), RunStatus::Pending);
    let once = store.everything(job_id).await;
    assert_eq!(hand_back().await.unwrap(), RunStatus::Pending);
    assert_eq!(store.everything(job_id).await, once);
}

#[tokio::test]
async fn a_checkpoint_sets_counts_adds_written_rows_and_renews_the_lease() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    store.expire(fence.run_id).await;
    let mut session = store.session().await;
    for cursor in [10, 20] {
        let checkpoint =
            transitions::Checkpoint { inserted: 5, updated: 2, filtered_count: 9, ..at(cursor, 5) };
        transitions::checkpoint(&mut session, &fence, &checkpoint).await.unwrap();
    }
    assert!(transitions::expired_leases(&store.pool).await.unwrap().is_empty(), "a sign of life");
    let run = &store.everything(job_id).await["runs"][0];
    assert_eq!(run["cursor_message_id"], "20");
    assert_eq!((&run["message_count"], &run["inserted_count"]), (&5.into(), &10.into()));
    assert_eq!((&run["updated_count"], &run["filtered_count"]), (&4.into(), &9.into()));

    transitions::complete(&store.pool, &fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    let export = &store.everything(job_id).await["export"];
    assert_eq!((&export["message_count"], &export["inserted_count"]), (&5.into(), &10.into()));
    assert_eq!(export["updated_count"], 4);
}

#[tokio::test]
async fn a_heartbeat_reports_the_lease_of_each_run() {
    let store = Store::with_slots(5).await;
    store.post(&[1, 2]).await;
    let cancelled = store.post(&[3, 5]).await;
    store.post(&[4]).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(store.claim("w").await);
    }
    let of = |channel: u64| {
        let run = runs.iter().find(|run| run.channel_id.get() == channel);
        run.expect("of every channel").fence.run_id
    };
    let (renewed, busy, cancelling, lost, busy_cancelling) = (of(1), of(2), of(3), of(4), of(5));
    transitions::cancel(&store.pool, cancelled, BY_SLOTS).await.unwrap();
    let expired = store.expire(lost).await;
    transitions::rescue(&store.pool, &expired).await.unwrap();
    store
        .execute("UPDATE export_channels SET lease_expires_at = clock_timestamp() WHERE status = 'running'")
        .await;
    let mut other = store.session().await;
    let mut held = sqlx::Connection::begin(&mut other).await.unwrap();
    sqlx::query("SELECT FROM export_channels WHERE id IN ($1, $2) FOR NO KEY UPDATE")
        .bind(busy)
        .bind(busy_cancelling)
        .execute(&mut *held)
        .await
        .unwrap();

    let mine: Vec<_> = runs.iter().map(|run| (run.fence.run_id, run.fence.attempt)).collect();
    let beats = heartbeat(&store.pool, "w", &mine).await.unwrap();
    assert_eq!(
        [renewed, cancelling, busy, lost, busy_cancelling].map(|id| beats[&id]),
        [
            LeaseState::Renewed,
            LeaseState::CancelRequested,
            LeaseState::Busy,
            LeaseState::Lost,
            LeaseState::CancelRequested
        ]
    );
    let expired = transitions::expired_leases(&store.pool).await.unwrap();
    assert_eq!(
        expired.iter().map(|expired| expired.run_id).collect::<HashSet<_>>(),
        HashSet::from([busy, busy_cancelling]),
        "the others are renewed"
    );

    held.rollback().await.unwrap();
    let beats = heartbeat(&store.pool, "w", &mine).await.unwrap();
    assert_eq!(beats[&busy], LeaseState::Renewed, "asked again");
}
