//! The first claim of a run fixes its window.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::ids::Snowflake;
use dce_core::store::transitions::{self, ClaimedRun, NewExport};

use super::support::{BY_SLOTS, REPORT, Store, new_export};

async fn hand_back_and_claim(store: &Store, run: &ClaimedRun) -> ClaimedRun {
    transitions::hand_back(&store.pool, &run.fence, &REPORT, BY_SLOTS).await.unwrap();
    store.claim("w").await
}

#[tokio::test]
async fn a_run_without_an_end_reads_up_to_its_first_claim_in_every_attempt() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let before: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT clock_timestamp() - interval '1 ms'")
            .fetch_one(&store.pool)
            .await
            .unwrap();
    let first = store.claim("w").await;
    assert!(first.upper.time() >= before && (first.upper.time() - before).num_seconds() < 60);
    let second = hand_back_and_claim(&store, &first).await;
    assert_eq!(second.upper, first.upper);
    assert_eq!(second.fence.attempt, 2);
}

#[tokio::test]
async fn a_run_with_an_end_in_the_future_reads_up_to_its_first_claim() {
    let store = Store::with_slots(1).await;
    let end_at = Some("2100-01-01T00:00:00Z".parse().unwrap());
    store.post_new(&NewExport { end_at, ..new_export(&[1]) }).await;
    let run = store.claim("w").await;
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&store.pool).await.unwrap();
    assert!(run.upper.time() <= now && (now - run.upper.time()).num_seconds() < 60);
}

#[tokio::test]
async fn an_end_is_the_first_id_of_its_millisecond() {
    for end_at in ["2024-07-03T09:50:40.123Z", "2015-01-01T00:00:00.001Z"] {
        let store = Store::with_slots(1).await;
        let end_at = end_at.parse().unwrap();
        store.post_new(&NewExport { end_at: Some(end_at), ..new_export(&[1]) }).await;
        let run = store.claim("w").await;
        assert_eq!(Some(run.upper), Snowflake::first_at(end_at), "{end_at}");
    }
}

#[tokio::test]
async fn the_times_of_an_export_are_those_of_its_claims_and_its_end() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let pending = store.everything(job_id).await;
    assert_eq!(
        (&pending["export"]["started_at"], &pending["export"]["finished_at"]),
        (&().into(), &().into())
    );

    let run = store.claim("w").await;
    let running = store.everything(job_id).await;
    assert!(running["export"]["started_at"].is_string() && running["export"]["finished_at"].is_null());

    let failure = Failure::new(FailureKind::MissingAccess);
    let status = transitions::fail(&store.pool, &run.fence, &failure, 0.0, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(status, RunStatus::Failed);
    let failed = store.everything(job_id).await;
    assert_eq!(failed["export"]["started_at"], running["export"]["started_at"]);
    assert!(
        failed["export"]["finished_at"].is_string() && failed["export"]["duration_ms"].as_i64() >= Some(0)
    );
    assert_eq!(failed["export"]["error"]["code"], "missing_access");
    assert_eq!(failed["attempts"][0]["error_kind"], "missing_access");
}

#[tokio::test]
async fn an_export_that_never_ran_has_no_start_and_no_duration() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    transitions::cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    let cancelled = &store.everything(job_id).await["export"];
    assert!(cancelled["finished_at"].is_string());
    assert_eq!((&cancelled["started_at"], &cancelled["duration_ms"]), (&().into(), &().into()));
}
