//! Which runs are admitted, in which order, and never too many at once.

use std::collections::HashMap;
use std::convert::Infallible;

use dce_core::export::admission::AdmissionLimit;
use dce_core::store::transitions::{self, Claim, NewExport, claim, complete, hand_back, reconcile};
use dce_core::store::workers::{self, Readiness, Worker};
use sqlx::Connection;
use uuid::Uuid;

use super::support::{BY_SLOTS, DONE, REPORT, Store, new_export};

const ACTIVE: &str = "SELECT count(*) FROM export_channels WHERE status = 'running' OR task_id IS NOT NULL";

impl Store {
    async fn tick(&self, limit: AdmissionLimit) -> usize {
        reconcile(&self.pool, limit).await.unwrap().admitted
    }

    /// Admitted runs of each export.
    async fn admitted(&self) -> HashMap<Uuid, i64> {
        let shares: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT job_id, count(*) FROM export_channels WHERE task_id IS NOT NULL GROUP BY job_id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        shares.into_iter().collect()
    }
}

#[tokio::test]
async fn a_small_export_behind_a_huge_one_is_next() {
    let store = Store::with_slots(4).await;
    let huge = store.post(&(1..=500).collect::<Vec<_>>()).await;
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(store.claim("w").await);
    }
    let small = store.post(&[1000]).await;
    assert_eq!(store.fetch("w").await, None, "every place is taken");
    complete(&store.pool, &running[0].fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.claim("w").await.job_id, small);
    complete(&store.pool, &running[1].fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.claim("w").await.job_id, huge);
}

#[tokio::test]
async fn places_are_shared_evenly_counting_admitted_runs() {
    let store = Store::new().await;
    let first = store.post(&(1..=10).collect::<Vec<_>>()).await;
    let others =
        [store.post(&(11..=20).collect::<Vec<_>>()).await, store.post(&(21..=30).collect::<Vec<_>>()).await];
    assert_eq!(store.admitted().await, HashMap::from([(first, 1)]), "without workers one place");
    store.register("w", 7).await;
    assert_eq!(store.tick(BY_SLOTS).await, 6);
    // Seven places for three exports; the odd one goes to the run that has waited longest.
    assert_eq!(store.admitted().await, HashMap::from([(first, 3), (others[0], 2), (others[1], 2)]));
}

#[tokio::test]
async fn the_limit_is_the_smaller_of_the_setting_and_the_slots_of_ready_workers() {
    let store = Store::new().await;
    let channels: Vec<u64> = (1..=30).collect();
    let setting = |max| AdmissionLimit { max_parallel_runs: Some(max) };
    transitions::create(&store.pool, &new_export(&channels), setting(5)).await.unwrap();
    assert_eq!(store.count(ACTIVE).await, 1, "no worker");

    let draining = Worker {
        id: "draining".into(),
        host: "test".into(),
        version: "0".into(),
        dce_version: "2.47".into(),
        slots: 8,
    };
    workers::register(&store.pool, &draining, Readiness { draining: true, problem: None }).await.unwrap();
    store.register("silent", 8).await;
    store
        .execute("UPDATE workers SET last_seen = clock_timestamp() - interval '21 s' WHERE id = 'silent'")
        .await;
    assert_eq!(store.tick(BY_SLOTS).await, 0, "one drains, one was not heard of for a lease");

    store.register("a", 2).await;
    store.register("b", 4).await;
    store.tick(setting(5)).await;
    assert_eq!(store.count(ACTIVE).await, 5, "the setting");
    store.tick(setting(50)).await;
    assert_eq!(store.count(ACTIVE).await, 6, "the slots");
    workers::deregister(&store.pool, "b").await.unwrap();
    store.tick(BY_SLOTS).await;
    assert_eq!(store.count(ACTIVE).await, 6, "nothing is taken back");
}

#[tokio::test]
async fn two_runs_of_one_channel_never_run_at_once() {
    let store = Store::with_slots(10).await;
    let first = store.post(&[1]).await;
    let second = store.post(&[1, 2]).await;
    let third = store.post(&[1]).await;
    assert_eq!(store.admitted().await, HashMap::from([(first, 1), (second, 1)]), "channels 1 and 2");

    let mut turns = Vec::new();
    let mut other = None;
    for _ in 0..4 {
        let run = store.claim("w").await;
        if run.channel_id.get() == 2 {
            other = Some(run); // runs on beside the others
            continue;
        }
        turns.push(run.job_id);
        assert_eq!(store.tick(BY_SLOTS).await, 0, "the channel is busy");
        complete(&store.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    }
    // `second` already has a running run, so `third` comes first.
    assert_eq!(turns, [first, third, second]);
    complete(&store.pool, &other.expect("channel 2").fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.status(second).await, "completed");
}

#[tokio::test]
async fn a_run_that_is_not_due_is_not_admitted() {
    let store = Store::new().await;
    store.post(&[1, 2, 3]).await;
    store.register("w", 3).await;
    store
        .execute(
            "UPDATE export_channels SET run_at = clock_timestamp() + interval '1 h' WHERE task_id IS NULL",
        )
        .await;
    assert_eq!(store.tick(BY_SLOTS).await, 0);
    store.execute("UPDATE export_channels SET run_at = clock_timestamp() WHERE task_id IS NULL").await;
    assert_eq!(store.tick(BY_SLOTS).await, 2);
}

#[tokio::test]
async fn a_locked_run_is_skipped_without_waiting() {
    let store = Store::new().await;
    store.post(&[1, 2, 3]).await;
    store.register("w", 2).await;
    let mut session = store.session().await;
    let mut held = session.begin().await.unwrap();
    let next: Uuid = sqlx::query_scalar(
        "SELECT id FROM export_channels WHERE task_id IS NULL ORDER BY run_at, id LIMIT 1 FOR NO KEY UPDATE",
    )
    .fetch_one(&mut *held)
    .await
    .unwrap();
    // Waiting would end with lock_timeout, an error.
    assert_eq!(store.tick(BY_SLOTS).await, 1);
    held.rollback().await.unwrap();
    let task = store.text("SELECT task_id FROM export_channels WHERE id = $1", next).await;
    assert_eq!(task, None, "the next but one was admitted");
}

/// Posts, claims and ends runs as fast as possible.
async fn bustle(store: &Store, actor: u64) {
    for round in 0..12 {
        let channels = [100 * actor + round, 1000 + round];
        let new = NewExport { max_attempts: 5, ..new_export(&channels) };
        transitions::create(&store.pool, &new, BY_SLOTS).await.unwrap();
        for end in 0..3 {
            let Some(task) = store.fetch("w").await else { continue };
            let Claim::Won(run) = claim(&store.pool, &task, "w").await.unwrap() else { continue };
            if (actor + round + end).is_multiple_of(3) {
                hand_back(&store.pool, &run.fence, &REPORT, BY_SLOTS).await.unwrap();
            } else {
                complete(&store.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn eight_concurrent_admissions_never_exceed_the_limit_and_admit_all_runs() {
    const LIMIT: i64 = 5;
    let store = Store::with_slots(5).await;
    let bustling = async {
        tokio::join!(
            bustle(&store, 1),
            bustle(&store, 2),
            bustle(&store, 3),
            bustle(&store, 4),
            bustle(&store, 5),
            bustle(&store, 6),
            bustle(&store, 7),
            bustle(&store, 8)
        );
    };
    let watching = async {
        loop {
            let active = store.count(ACTIVE).await;
            assert!(active <= LIMIT, "{active} at once");
        }
    };
    let watched: Result<Infallible, ()> = tokio::select! {
        () = bustling => Err(()),
        never = watching => Ok(never),
    };
    assert!(watched.is_err());

    while let Some(task) = store.fetch("w").await {
        if let Claim::Won(run) = claim(&store.pool, &task, "w").await.unwrap() {
            complete(&store.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
        }
    }
    assert_eq!(store.count("SELECT count(*) FROM exports WHERE status = 'completed'").await, 8 * 12);
    assert_eq!(store.count("SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'").await, 0);
}
