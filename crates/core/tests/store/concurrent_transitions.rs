//! Two concurrent transitions of one export: each order has a correct result.

use std::env;
use std::pin::Pin;

use dce_core::export::state::RunStatus::{self, Cancelled, Completed, Pending, Running};
use dce_core::queue::Task;
use dce_core::store::transitions::{
    Claim, ControlOutcome, Fence, NewExport, cancel, claim, complete, hand_back, retry,
};
use dce_testkit::process::eventually;
use sqlx::Connection;
use uuid::Uuid;

use super::support::{BOUND, BY_SLOTS, DONE, REPORT, Store, new_export};

/// Number of rounds: `DCE_RACE_ROUNDS`, or 100.
fn rounds() -> u64 {
    env::var("DCE_RACE_ROUNDS").map_or(100, |rounds| rounds.parse().expect("a number"))
}

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Transitions on sessions without a lock timeout: the first to wait stays first on a machine of any speed.
impl Store {
    /// Makes both wait for the export's row, then releases them at once, in this order.
    async fn collide<A, B>(
        &self,
        job_id: Uuid,
        first: Pin<Box<impl Future<Output = A>>>,
        second: Pin<Box<impl Future<Output = B>>>,
    ) -> (A, B) {
        let mut session = self.session().await;
        let mut gate = session.begin().await.unwrap();
        sqlx::query("SELECT FROM exports WHERE job_id = $1 FOR NO KEY UPDATE")
            .bind(job_id)
            .execute(&mut *gate)
            .await
            .unwrap();
        let waiting = async |sessions: i64| {
            eventually(BOUND, "the sessions wait", async || {
                (self.count(WAITING).await == sessions).then_some(())
            })
            .await;
        };
        let second = async {
            waiting(1).await;
            second.await
        };
        let open = async {
            waiting(2).await;
            gate.rollback().await.unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, open);
        (first, second)
    }

    async fn complete(&self, fence: &Fence) -> RunStatus {
        complete(&self.database.pool(), fence, &DONE, &REPORT, BY_SLOTS).await.unwrap()
    }

    async fn hand_back(&self, fence: &Fence) -> RunStatus {
        hand_back(&self.database.pool(), fence, &REPORT, BY_SLOTS).await.unwrap()
    }

    async fn cancel(&self, job_id: Uuid) -> ControlOutcome {
        cancel(&self.database.pool(), job_id, BY_SLOTS).await.unwrap()
    }

    /// A run that was admitted and then cancelled leaves its task behind.
    async fn forget_stale_tasks(&self) {
        while let Some(task) = self.fetch("w").await {
            assert!(!self.wins(&task).await);
        }
    }

    async fn wins(&self, task: &Task) -> bool {
        matches!(claim(&self.database.pool(), task, "w").await.unwrap(), Claim::Won(_))
    }
}

#[tokio::test]
async fn two_concurrent_last_ends_end_the_export() {
    let store = Store::with_slots(2).await;
    for _ in 0..rounds() {
        let job_id = store.post(&[1, 2]).await;
        let (one, two) = (store.claim("w").await.fence, store.claim("w").await.fence);
        let ended =
            store.collide(job_id, Box::pin(store.complete(&one)), Box::pin(store.complete(&two))).await;
        assert_eq!(ended, (Completed, Completed));
        assert_eq!(store.status(job_id).await, "completed");
    }
}

#[tokio::test]
async fn a_completion_wins_over_a_concurrent_cancel() {
    let store = Store::with_slots(1).await;
    for round in 0..rounds() {
        let job_id = store.post(&[1]).await;
        let fence = store.claim("w").await.fence;
        if round % 2 == 0 {
            let told =
                store.collide(job_id, Box::pin(store.complete(&fence)), Box::pin(store.cancel(job_id))).await;
            assert_eq!(told, (Completed, ControlOutcome::Refused(Completed)));
        } else {
            let told =
                store.collide(job_id, Box::pin(store.cancel(job_id)), Box::pin(store.complete(&fence))).await;
            assert_eq!(told, (ControlOutcome::Now(Running), Completed));
        }
        assert_eq!(store.status(job_id).await, "completed");
    }
}

#[tokio::test]
async fn a_concurrent_cancel_and_hand_back_cancel() {
    let store = Store::with_slots(1).await;
    for round in 0..rounds() {
        let job_id = store.post(&[1]).await;
        let fence = store.claim("w").await.fence;
        if round % 2 == 0 {
            let told = store
                .collide(job_id, Box::pin(store.hand_back(&fence)), Box::pin(store.cancel(job_id)))
                .await;
            assert_eq!(told, (Pending, ControlOutcome::Now(Cancelled)));
        } else {
            let told = store
                .collide(job_id, Box::pin(store.cancel(job_id)), Box::pin(store.hand_back(&fence)))
                .await;
            assert_eq!(told, (ControlOutcome::Now(Running), Cancelled));
        }
        assert_eq!(store.status(job_id).await, "cancelled");
        store.forget_stale_tasks().await;
    }
}

#[tokio::test]
async fn a_concurrent_cancel_and_claim_leave_no_orphaned_run() {
    let store = Store::with_slots(1).await;
    for round in 0..rounds() {
        let job_id = store.post(&[1]).await;
        let task = store.fetch("w").await.expect("a task");
        if round % 2 == 0 {
            let told =
                store.collide(job_id, Box::pin(store.wins(&task)), Box::pin(store.cancel(job_id))).await;
            assert_eq!(told, (true, ControlOutcome::Now(Running)));
            let fence = Fence { run_id: task.run_id.unwrap(), attempt: 1, worker: "w".into() };
            assert_eq!(store.hand_back(&fence).await, Cancelled);
        } else {
            let told =
                store.collide(job_id, Box::pin(store.cancel(job_id)), Box::pin(store.wins(&task))).await;
            assert_eq!(told, (ControlOutcome::Now(Cancelled), false));
        }
        assert_eq!(store.status(job_id).await, "cancelled");
    }
}

#[tokio::test]
async fn an_export_ends_after_any_concurrent_transitions() {
    let store = Store::with_slots(4).await;
    for _ in 0..rounds() {
        let new = NewExport { max_attempts: 1, ..new_export(&[1, 2, 3, 4]) };
        let job_id = store.post_new(&new).await;
        let mut fences = Vec::new();
        for _ in 0..3 {
            fences.push(store.claim("w").await.fence);
        }
        let task = store.fetch("w").await.expect("a task");
        // Neither waits for the other here: the scheduler decides the order.
        let (_, _, won, _) = tokio::join!(
            store.complete(&fences[0]),
            store.hand_back(&fences[1]),
            store.wins(&task),
            store.cancel(job_id)
        );
        assert_eq!(store.hand_back(&fences[2]).await, Cancelled);
        if won {
            let fence = Fence { run_id: task.run_id.unwrap(), attempt: 1, worker: "w".into() };
            assert_eq!(store.hand_back(&fence).await, Cancelled);
        }
        assert_eq!(store.status(job_id).await, "cancelled");
        store.forget_stale_tasks().await;
    }
    assert_eq!(store.count("SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'").await, 0);
}

#[tokio::test]
async fn a_withdrawn_cancel_lets_the_run_continue() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    assert_eq!(store.cancel(job_id).await, ControlOutcome::Now(Running));
    assert_eq!(retry(&store.pool, job_id, BY_SLOTS).await.unwrap(), ControlOutcome::Now(Running));
    assert_eq!(store.hand_back(&fence).await, Pending);
    let again = store.claim("w").await.fence;
    assert_eq!(store.complete(&again).await, Completed);
    assert_eq!(store.status(job_id).await, "completed");
}

#[tokio::test]
async fn a_second_cancel_changes_nothing() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1, 2]).await;
    store.claim("w").await;
    assert_eq!(store.cancel(job_id).await, ControlOutcome::Now(Running));
    let once = store.everything(job_id).await;
    assert_eq!(store.cancel(job_id).await, ControlOutcome::Now(Running));
    assert_eq!(store.everything(job_id).await, once);
}
