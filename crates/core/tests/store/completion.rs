//! The completion of a run: proof, last checkpoint, coverage and status are one transaction.

use dce_core::export::state::RunStatus;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::transitions::{self, AttemptReport, Completion, Fence, Verified};
use dce_testkit::process::eventually;
use serde_json::{Value, json};

use super::support::{BOUND, BY_SLOTS, DONE, REPORT, Store, at};

const PROVEN: Completion =
    Completion { verified: Some(Verified { newest: None }), warn_not_verified: false, last: None };

impl Store {
    async fn complete_with(&self, fence: &Fence, completion: &Completion) -> Result<RunStatus, StoreError> {
        let report = AttemptReport { discord_requests: 2, upper: Some(Snowflake::new(5_000)), ..REPORT };
        transitions::complete(&self.pool, fence, completion, &report, BY_SLOTS).await
    }
}

/// Proof and last checkpoint of a run whose newest message is 700.
fn proven_up_to_700() -> Completion {
    let last = Some(transitions::Checkpoint { filtered_count: 3, inserted: 4, ..at(700, 12) });
    Completion { verified: Some(Verified { newest: Some(Snowflake::new(700)) }), last, ..DONE }
}

#[tokio::test]
async fn proof_cursor_counts_and_coverage_are_written_with_the_status() {
    let store = Store::with_slots(1).await;
    store.describe_channel(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    store.reach(&fence, 600, 10).await;
    let completion = proven_up_to_700();
    assert_eq!(store.complete_with(&fence, &completion).await.unwrap(), RunStatus::Completed);

    let everything = store.everything(job_id).await;
    let run = &everything["runs"][0];
    for (column, value) in [
        ("status", json!("completed")),
        ("cursor_message_id", json!("700")),
        ("message_count", json!(12)),
        ("filtered_count", json!(3)),
        ("inserted_count", json!(4)),
        ("verified_newest_id", json!("700")),
        ("discord_requests", json!(2)),
        ("upper_message_id", json!("5000")),
        ("phase", Value::Null),
        ("failures", json!(0)),
        ("warnings", json!([])),
    ] {
        assert_eq!(run[column], value, "{column}");
    }
    let export = &everything["export"];
    assert!(run["verified_at"].is_string(), "{run}");
    assert_eq!((&export["verified_at"], &export["message_count"]), (&run["verified_at"], &json!(12)));
    assert_eq!(store.covered_to().await, Some(700));

    assert_eq!(store.complete_with(&fence, &completion).await.unwrap(), RunStatus::Completed);
    assert_eq!(store.everything(job_id).await, everything, "repeated after a lost answer");
}

#[tokio::test]
async fn a_completion_that_dies_before_its_commit_leaves_nothing() {
    let store = Store::with_slots(1).await;
    store.describe_channel(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    store.reach(&fence, 600, 10).await;
    let before = store.everything(job_id).await;

    // Its last step waits for the admission lock, with everything written.
    let mut other = store.session().await;
    sqlx::query("SELECT pg_advisory_lock(hashtext('dce.admission'))").execute(&mut other).await.unwrap();
    let pool = store.pool.clone();
    let (dying, completion) = (fence.clone(), proven_up_to_700());
    let task =
        tokio::spawn(
            async move { transitions::complete(&pool, &dying, &completion, &REPORT, BY_SLOTS).await },
        );
    eventually(BOUND, "the admission", async || {
        let waits = store.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
        (waits.await > 0).then_some(())
    })
    .await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    drop(other);

    assert_eq!(store.everything(job_id).await, before);
    assert_eq!(store.covered_to().await, None);
    let expired = store.expire(fence.run_id).await;
    assert_eq!(transitions::rescue(&store.pool, &expired).await.unwrap(), Some(RunStatus::Pending));
    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    let next = store.claim("w").await;
    assert_eq!((next.cursor, next.message_count), (Some(Snowflake::new(600)), 10));
}

#[tokio::test]
async fn a_last_checkpoint_that_moves_the_cursor_is_progress() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let first = store.claim("w").await.fence;
    store.execute("UPDATE export_channels SET failures = 1").await;
    store.complete_with(&first, &proven_up_to_700()).await.unwrap();
    assert_eq!(store.count("SELECT failures::bigint FROM export_channels").await, 0);
}

#[tokio::test]
async fn an_export_is_proven_when_its_last_run_is() {
    let store = Store::with_slots(3).await;
    let (proven, unproven) = (store.post(&[1, 2]).await, store.post(&[3]).await);
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(store.claim("w").await);
    }
    runs.sort_by_key(|run| run.channel_id);
    let verified_at =
        async |job_id| store.text("SELECT verified_at::text FROM exports WHERE job_id = $1", job_id).await;
    store.complete_with(&runs[0].fence, &PROVEN).await.unwrap();
    assert_eq!(verified_at(proven).await, None, "its other run is running");
    store.complete_with(&runs[1].fence, &PROVEN).await.unwrap();
    let latest = "SELECT max(verified_at)::text FROM export_channels WHERE job_id = $1";
    let latest = store.text(latest, proven).await;
    assert!(latest.is_some());
    assert_eq!(verified_at(proven).await, latest);

    let without = Completion { warn_not_verified: true, ..DONE };
    store.complete_with(&runs[2].fence, &without).await.unwrap();
    assert_eq!(verified_at(unproven).await, None);
    let warning = &store.everything(unproven).await["export"]["warnings"][0];
    assert_eq!((&warning["code"], &warning["channel_id"]), (&json!("not_verified"), &json!("3")));
}

#[tokio::test]
async fn an_end_lowers_the_bound_and_never_raises_it() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let upper = |id| AttemptReport { upper: Some(Snowflake::new(id)), discord_requests: 1, ..REPORT };
    // As numbers: 900 comes before 1000.
    for (reported, expected) in [(1000, 1000), (900, 900), (1000, 900), (u64::MAX, 900)] {
        let run = store.claim("w").await;
        transitions::hand_back(&store.pool, &run.fence, &upper(reported), BY_SLOTS).await.unwrap();
        let next = store.text("SELECT upper_message_id FROM export_channels WHERE id = $1", run.fence.run_id);
        assert_eq!(next.await, Some(expected.to_string()), "{reported}");
    }
    assert_eq!(store.count("SELECT discord_requests FROM export_channels").await, 4, "they add up");
    assert_eq!(store.claim("w").await.upper, Snowflake::new(900));
}
