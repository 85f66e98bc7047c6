//! Two sessions at one export at the same moment: every order ends well.

use std::env;
use std::pin::Pin;

use dce_core::export::state::RunStatus::{self, Cancelled, Completed, Pending, Running};
use dce_core::queue::Task;
use dce_core::store::control::{Controlled, cancel, retry};
use dce_core::store::ends::{complete, hand_back};
use dce_core::store::exports::NewExport;
use dce_core::store::runs::{Claim, Fence, claim};
use dce_testkit::process::eventually;
use sqlx::Connection;
use uuid::Uuid;

use super::support::{BOUND, BY_SLOTS, REPORT, Store, new_export};

/// So many times each: `DCE_RACE_ROUNDS`, or 100.
fn rounds() -> u64 {
    env::var("DCE_RACE_ROUNDS").map_or(100, |rounds| rounds.parse().expect("a number"))
}

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Transitions on sessions without a lock timeout: who waits first stays first, however slow the machine is.
impl Store {
    /// Lets both wait for the export's row and go at the same moment, the first one first.
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
        complete(&self.database.pool(), fence, &REPORT, BY_SLOTS).await.unwrap()
    }

    async fn hand_back(&self, fence: &Fence) -> RunStatus {
        hand_back(&self.database.pool(), fence, &REPORT, BY_SLOTS).await.unwrap()
    }

    async fn cancel(&self, job_id: Uuid) -> Controlled {
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
async fn two_runs_that_end_together_end_their_export() {
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
async fn a_cancel_and_a_completion_together_complete() {
    let store = Store::with_slots(1).await;
    for round in 0..rounds() {
        let job_id = store.post(&[1]).await;
        let fence = store.claim("w").await.fence;
        if round % 2 == 0 {
            let told =
                store.collide(job_id, Box::pin(store.complete(&fence)), Box::pin(store.cancel(job_id))).await;
            assert_eq!(told, (Completed, Controlled::Refused(Completed)));
        } else {
            let told =
                store.collide(job_id, Box::pin(store.cancel(job_id)), Box::pin(store.complete(&fence))).await;
            assert_eq!(told, (Controlled::Now(Running), Completed));
        }
        assert_eq!(store.status(job_id).await, "completed");
    }
}

#[tokio::test]
async fn a_cancel_and_a_hand_back_together_cancel() {
    let store = Store::with_slots(1).await;
    for round in 0..rounds() {
        let job_id = store.post(&[1]).await;
        let fence = store.claim("w").await.fence;
        if round % 2 == 0 {
            let told = store
                .collide(job_id, Box::pin(store.hand_back(&fence)), Box::pin(store.cancel(job_id)))
                .await;
            assert_eq!(told, (Pending, Controlled::Now(Cancelled)));
        } else {
            let told = store
                .collide(job_id, Box::pin(store.cancel(job_id)), Box::pin(store.hand_back(&fence)))
                .await;
            assert_eq!(told, (Controlled::Now(Running), Cancelled));
        }
        assert_eq!(store.status(job_id).await, "cancelled");
        store.forget_stale_tasks().await;
    }
}

#[tokio::test]
async fn a_cancel_and_a_claim_together_never_leave_the_run_to_nobody() {
    let store = Store::with_slots(1).await;
    for round in 0..rounds() {
        let job_id = store.post(&[1]).await;
        let task = store.fetch("w").await.expect("a task");
        if round % 2 == 0 {
            let told =
                store.collide(job_id, Box::pin(store.wins(&task)), Box::pin(store.cancel(job_id))).await;
            assert_eq!(told, (true, Controlled::Now(Running)));
            let fence = Fence { run_id: task.run_id.unwrap(), attempt: 1, worker: "w".into() };
            assert_eq!(store.hand_back(&fence).await, Cancelled);
        } else {
            let told =
                store.collide(job_id, Box::pin(store.cancel(job_id)), Box::pin(store.wins(&task))).await;
            assert_eq!(told, (Controlled::Now(Cancelled), false));
        }
        assert_eq!(store.status(job_id).await, "cancelled");
    }
}

#[tokio::test]
async fn whatever_meets_in_whatever_order_an_export_ends() {
    let store = Store::with_slots(4).await;
    for _ in 0..rounds() {
        let new = NewExport { max_attempts: 1, ..new_export(&[1, 2, 3, 4]) };
        let job_id = store.post_new(&new).await;
        let mut fences = Vec::new();
        for _ in 0..3 {
            fences.push(store.claim("w").await.fence);
        }
        let task = store.fetch("w").await.expect("a task");
        // Nobody waits for anybody here: the order is the scheduler's.
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
async fn a_cancel_withdrawn_before_the_worker_stopped_lets_the_run_go_on() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    assert_eq!(store.cancel(job_id).await, Controlled::Now(Running));
    assert_eq!(retry(&store.pool, job_id, BY_SLOTS).await.unwrap(), Controlled::Now(Running));
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
    assert_eq!(store.cancel(job_id).await, Controlled::Now(Running));
    let once = store.everything(job_id).await;
    assert_eq!(store.cancel(job_id).await, Controlled::Now(Running));
    assert_eq!(store.everything(job_id).await, once);
}
