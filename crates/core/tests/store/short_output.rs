//! Two attempts in a row that are short of the same messages end a run.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::ids::Snowflake;
use dce_core::store::transitions::{self, AttemptReport, ClaimedRun, NewExport, Reread};

use super::support::{BY_SLOTS, REPORT, Store, new_export};

/// More than any story needs.
const PATIENT: u32 = 20;

async fn begun() -> (Store, ClaimedRun) {
    let store = Store::with_slots(1).await;
    store.post_new(&NewExport { max_attempts: PATIENT, ..new_export(&[1]) }).await;
    let run = store.claim("w").await;
    (store, run)
}

/// Ends the attempt as short, with what the next one reads again, and claims the run once more if it is pending.
async fn short(store: &Store, run: &ClaimedRun, reread: Reread) -> Result<ClaimedRun, RunStatus> {
    let failure = Failure::new(FailureKind::OutputShort).with_detail("read up to 500, Discord has 900");
    let report = AttemptReport { reread, ..REPORT };
    let mut ended = RunStatus::Running;
    for _ in 0..2 {
        // The second time as after a lost first answer.
        ended = transitions::fail(&store.pool, &run.fence, &failure, 0.0, &report, BY_SLOTS).await.unwrap();
    }
    if ended == RunStatus::Pending { Ok(again(store).await) } else { Err(ended) }
}

async fn again(store: &Store) -> ClaimedRun {
    store.execute("UPDATE export_channels SET run_at = clock_timestamp()").await;
    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    store.claim("w").await
}

#[tokio::test]
async fn the_second_short_attempt_without_progress_is_final() {
    let (store, first) = begun().await;
    store.reach(&first.fence, 500, 5).await;
    let second = short(&store, &first, Reread::Unchanged).await.expect("made progress");
    let third = short(&store, &second, Reread::Unchanged).await.expect("the first without progress");
    assert_eq!(short(&store, &third, Reread::Unchanged).await.unwrap_err(), RunStatus::Failed);
    let error = &store.everything(third.job_id).await["export"]["error"];
    assert_eq!(
        (&error["code"], &error["detail"]),
        (&"output_short".into(), &"read up to 500, Discord has 900".into())
    );
}

#[tokio::test]
async fn progress_or_another_id_to_read_again_allows_one_more_attempt() {
    let (store, first) = begun().await;
    let second = short(&store, &first, Reread::Unchanged).await.expect("the first");
    store.reach(&second.fence, 500, 5).await;
    let third = short(&store, &second, Reread::Unchanged).await.expect("made progress");
    let late = Reread::From(Snowflake::new(300));
    let fourth = short(&store, &third, late).await.expect("from another cursor than the second");
    assert_eq!(fourth.reread_from, Some(Snowflake::new(300)));
    let fifth = short(&store, &fourth, Reread::Unchanged).await.expect("has read 300 again");
    assert_eq!(fifth.reread_from, Some(Snowflake::new(300)));
    assert_eq!(short(&store, &fifth, Reread::Nothing).await.unwrap_err(), RunStatus::Failed);
    let left = store.text("SELECT reread_from FROM export_channels WHERE id = $1", fifth.fence.run_id);
    assert_eq!(left.await, None);
}

#[tokio::test]
async fn a_hand_back_in_between_does_not_count_and_another_failure_does() {
    let (store, first) = begun().await;
    let second = short(&store, &first, Reread::Unchanged).await.expect("the first");
    let dropped = Failure::new(FailureKind::DiscordUnavailable);
    transitions::fail(&store.pool, &second.fence, &dropped, 0.0, &REPORT, BY_SLOTS).await.unwrap();
    let third = short(&store, &again(&store).await, Reread::Unchanged).await.expect("not in a row");
    transitions::hand_back(&store.pool, &third.fence, &REPORT, BY_SLOTS).await.unwrap();
    let fourth = short(&store, &again(&store).await, Reread::Unchanged).await;
    assert_eq!(fourth.unwrap_err(), RunStatus::Failed);
}

#[tokio::test]
async fn a_retry_starts_afresh() {
    let (store, first) = begun().await;
    let second = short(&store, &first, Reread::Unchanged).await.expect("the first");
    assert_eq!(short(&store, &second, Reread::Unchanged).await.unwrap_err(), RunStatus::Failed);
    transitions::retry(&store.pool, first.job_id, BY_SLOTS).await.unwrap();
    let third = short(&store, &store.claim("w").await, Reread::Unchanged).await.expect("the first again");
    assert_eq!(short(&store, &third, Reread::Unchanged).await.unwrap_err(), RunStatus::Failed);
}
