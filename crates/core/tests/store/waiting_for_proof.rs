//! A run that has read everything waits for Discord's word that there is no more.

use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::store::transitions::{self, AttemptReport, ClaimedRun, Fence};
use uuid::Uuid;

use super::support::{BY_SLOTS, REPORT, Store};

const OVERDUE: &str = "UPDATE export_channels SET through_at = through_at - interval '15 min'";

impl Store {
    async fn wait(&self, fence: &Fence, retry_after: Option<Duration>) -> RunStatus {
        let reason = Failure { retry_after, ..Failure::new(FailureKind::RateLimited) };
        transitions::wait_for_proof(&self.pool, fence, &reason, &REPORT, BY_SLOTS).await.unwrap()
    }

    /// Makes all runs due and claims the next one.
    async fn claim_again(&self) -> ClaimedRun {
        self.execute("UPDATE export_channels SET run_at = clock_timestamp() WHERE status = 'pending'").await;
        transitions::reconcile(&self.pool, BY_SLOTS).await.unwrap();
        self.claim("w").await
    }

    /// Seconds until the run is due, rounded up.
    async fn pause(&self) -> i64 {
        self.count("SELECT ceil(extract(epoch FROM run_at - clock_timestamp()))::bigint FROM export_channels")
            .await
    }

    async fn failures(&self) -> i64 {
        self.count("SELECT failures::bigint FROM export_channels").await
    }

    async fn last_outcome(&self, run_id: Uuid) -> Option<String> {
        let sql = "SELECT outcome FROM export_attempts WHERE run_id = $1 ORDER BY attempt DESC LIMIT 1";
        self.text(sql, run_id).await
    }
}

#[tokio::test]
async fn waiting_costs_nothing_for_a_quarter_of_an_hour_and_a_failure_after_it() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let mut run = store.claim("w").await;
    assert_eq!(run.through, None);
    for pause in [5, 10, 20, 40] {
        assert_eq!(store.wait(&run.fence, None).await, RunStatus::Pending);
        assert_eq!((store.pause().await, store.failures().await), (pause, 0));
        assert_eq!(store.last_outcome(run.fence.run_id).await.as_deref(), Some("handed_back"));
        run = store.claim_again().await;
        assert!(run.through.unwrap().since < Duration::from_mins(1));
    }
    assert_eq!(store.wait(&run.fence, Some(Duration::from_secs(1000))).await, RunStatus::Pending);
    assert_eq!(store.pause().await, 1000, "as long as Discord asks for");
    let shown = &store.everything(job_id).await["runs"][0]["error"];
    assert_eq!((&shown["code"], &shown["retryable"]), (&"rate_limited".into(), &true.into()));

    store.execute(OVERDUE).await;
    for (failures, status) in [(1, RunStatus::Pending), (2, RunStatus::Pending), (3, RunStatus::Failed)] {
        run = store.claim_again().await;
        assert!(run.through.unwrap().since >= Duration::from_mins(15));
        for _ in 0..2 {
            // The second time as after a lost first answer.
            assert_eq!(store.wait(&run.fence, None).await, status);
        }
        assert_eq!(store.failures().await, failures);
        assert_eq!(store.last_outcome(run.fence.run_id).await.as_deref(), Some("failed"));
    }
    assert_eq!(store.everything(job_id).await["export"]["error"]["code"], "rate_limited");

    transitions::retry(&store.pool, job_id, BY_SLOTS).await.unwrap();
    assert!(store.claim("w").await.through.is_some(), "a retry asks first, too");
}

#[tokio::test]
async fn an_end_repeated_across_the_limit_is_the_same_end() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    store.wait(&fence, None).await;
    store.execute(OVERDUE).await;
    assert_eq!(store.wait(&fence, None).await, RunStatus::Pending);
    assert_eq!(store.failures().await, 0);
}

#[tokio::test]
async fn a_cancel_ends_a_run_that_waits_for_its_proof() {
    for overdue in [false, true] {
        let store = Store::with_slots(1).await;
        let job_id = store.post(&[1]).await;
        let mut run = store.claim("w").await;
        if overdue {
            store.wait(&run.fence, None).await;
            store.execute(OVERDUE).await;
            run = store.claim_again().await;
        }
        transitions::cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
        assert_eq!(store.wait(&run.fence, None).await, RunStatus::Cancelled);
    }
}

#[tokio::test]
async fn a_run_that_reads_on_is_not_through_any_more() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let through = AttemptReport { through: true, ..REPORT };
    let first = store.claim("w").await;
    transitions::hand_back(&store.pool, &first.fence, &through, BY_SLOTS).await.unwrap();
    store.execute(OVERDUE).await;
    let second = store.claim_again().await;
    assert!(second.through.unwrap().since >= Duration::from_mins(15));
    transitions::hand_back(&store.pool, &second.fence, &through, BY_SLOTS).await.unwrap();
    let third = store.claim_again().await;
    assert!(third.through.unwrap().since >= Duration::from_mins(15), "the first time counts");

    transitions::begin_reading(&store.pool, &third.fence).await.unwrap();
    let expired = store.expire(third.fence.run_id).await;
    transitions::rescue(&store.pool, &expired).await.unwrap();
    let fourth = store.claim_again().await;
    assert_eq!(fourth.through, None, "its DCE has died: the next one reads on");
    transitions::hand_back(&store.pool, &fourth.fence, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.claim_again().await.through, None);
}
