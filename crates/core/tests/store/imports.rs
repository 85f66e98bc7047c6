//! Runs of an importing process: never queued, never retried, without effect on other runs.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus::{Cancelled, Completed, Failed, Pending, Running};
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::imports::{self, Begun, NewImport};
use dce_core::store::reading::export;
use dce_core::store::transitions::{
    self, ClaimedRun, ControlOutcome, LeaseState, RunOptions, cancel, heartbeat, retry,
};
use dce_testkit::proxy::Lost;
use uuid::Uuid;

use super::support::{BY_SLOTS, DONE, REPORT, Store};

const OWNER: &str = "import-1";

/// A file of a channel, for an import by `OWNER`.
fn file(job_id: Uuid, source: &str, channel: u64) -> NewImport {
    NewImport {
        job_id,
        run_id: Uuid::now_v7(),
        owner: OWNER.into(),
        source: source.into(),
        channel_id: Snowflake::new(channel),
        options: RunOptions::default(),
    }
}

impl Store {
    async fn begin(&self, new: &NewImport) -> ClaimedRun {
        match imports::begin(&self.pool, new).await.unwrap() {
            Begun::Run(run) => *run,
            Begun::Cancelled => panic!("nobody cancelled"),
        }
    }
}

#[tokio::test]
async fn an_import_is_an_export_whose_runs_run_from_the_beginning() {
    let store = Store::new().await;
    let job_id = Uuid::now_v7();
    let first = store.begin(&file(job_id, "a.json", 1)).await;
    let export = export::find(&store.pool, job_id).await.unwrap().unwrap();
    assert_eq!((export.row.status.as_str(), export.row.channel_id.as_deref()), ("running", Some("1")));
    assert_eq!(export.row.options["source_complete"], "unknown");
    assert_eq!((export.runs[0].row.kind.as_str(), export.runs[0].row.source.as_str()), ("import", "a.json"));
    assert!(export.row.requested_by.is_none() && export.blocker.is_none());

    let second = store.begin(&file(job_id, "b.json", 2)).await;
    assert_eq!(imports::complete(&store.pool, &first.fence).await.unwrap(), Completed);
    assert_eq!(store.status(job_id).await, "running", "the next one had begun");
    let damaged = Failure::new(FailureKind::OutputTruncated);
    assert_eq!(imports::fail(&store.pool, &second.fence, &damaged).await.unwrap(), Failed);

    let export = export::find(&store.pool, job_id).await.unwrap().unwrap();
    assert_eq!((export.row.status.as_str(), export.row.channel_id), ("failed", None), "of two channels");
    let error = export.row.error.unwrap();
    assert_eq!((&error["code"], &error["retryable"]), (&"output_truncated".into(), &false.into()));
    assert_eq!(error["channel_id"], "2");
    assert_eq!(store.count("SELECT count(*) FROM apalis.jobs").await, 0, "nothing was queued");
}

#[tokio::test]
async fn repeating_a_begin_after_a_lost_answer_creates_one_run() {
    let store = Store::new().await;
    let (proxy, pool) = store.behind().await;
    let new = file(Uuid::now_v7(), "a.json", 1);
    for lost in [Lost::Answer, Lost::Request] {
        let new = NewImport { run_id: Uuid::now_v7(), source: format!("{lost:?}"), ..new.clone() };
        proxy.lose_commit(lost);
        assert!(matches!(imports::begin(&pool, &new).await.unwrap(), Begun::Run(_)), "{lost:?}");
    }
    assert_eq!(proxy.commits_lost(), 2);
    assert_eq!(store.count("SELECT count(*) FROM export_channels WHERE status = 'running'").await, 2);
}

#[tokio::test]
async fn imports_use_no_place_and_share_their_channel() {
    let store = Store::with_slots(1).await;
    let job_id = Uuid::now_v7();
    for source in ["a.json", "b.json"] {
        store.begin(&file(job_id, source, 7)).await;
    }
    let live = store.post(&[7]).await;
    let run = store.claim("w").await;
    assert_eq!((run.job_id, run.channel_id.get()), (live, 7), "admitted beside two imports of its channel");
    transitions::complete(&store.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
}

#[tokio::test]
async fn an_import_whose_lease_expires_fails_and_is_not_queued() {
    let store = Store::with_slots(1).await;
    let job_id = Uuid::now_v7();
    let run = store.begin(&file(job_id, "a.json", 1)).await;
    store.reach(&run.fence, 100, 5).await;
    let expired = store.expire(run.fence.run_id).await;
    assert_eq!(
        transitions::rescue(&store.pool, &expired).await.unwrap(),
        Some(Failed),
        "progress is no reason"
    );
    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    assert!(store.fetch("w").await.is_none());

    let export = export::find(&store.pool, job_id).await.unwrap().unwrap();
    assert_eq!((export.row.status.as_str(), export.runs[0].row.message_count), ("failed", 5));
    let error = export.row.error.unwrap();
    assert_eq!(error["code"], "import_interrupted");
    assert!(error["action"].as_str().unwrap().contains("dce-worker import"));
    let beats = heartbeat(&store.pool, OWNER, &[(run.fence.run_id, 1)]).await.unwrap();
    assert_eq!(beats[&run.fence.run_id], LeaseState::Lost);
    assert!(matches!(imports::complete(&store.pool, &run.fence).await, Err(StoreError::Lost)));
}

#[tokio::test]
async fn a_retry_of_an_import_is_always_refused() {
    let store = Store::with_slots(1).await;
    let job_id = Uuid::now_v7();
    let run = store.begin(&file(job_id, "a.json", 1)).await;
    assert_eq!(retry(&store.pool, job_id, BY_SLOTS).await.unwrap(), ControlOutcome::IsImport);
    let failure = Failure::new(FailureKind::ImportInterrupted);
    imports::fail(&store.pool, &run.fence, &failure).await.unwrap();
    let before = store.everything(job_id).await;
    assert_eq!(retry(&store.pool, job_id, BY_SLOTS).await.unwrap(), ControlOutcome::IsImport);
    assert_eq!(store.everything(job_id).await, before);
}

#[tokio::test]
async fn a_cancel_reaches_the_heartbeat_and_ends_the_import() {
    let store = Store::with_slots(1).await;
    let job_id = Uuid::now_v7();
    let run = store.begin(&file(job_id, "a.json", 1)).await;
    assert_eq!(cancel(&store.pool, job_id, BY_SLOTS).await.unwrap(), ControlOutcome::Now(Running));
    let beats = heartbeat(&store.pool, OWNER, &[(run.fence.run_id, 1)]).await.unwrap();
    assert_eq!(beats[&run.fence.run_id], LeaseState::CancelRequested);
    assert!(matches!(
        imports::begin(&store.pool, &file(job_id, "b.json", 1)).await.unwrap(),
        Begun::Cancelled
    ));
    let failure = Failure::new(FailureKind::ImportInterrupted);
    assert_eq!(imports::fail(&store.pool, &run.fence, &failure).await.unwrap(), Cancelled);
    assert_eq!(store.status(job_id).await, "cancelled");
}

#[tokio::test]
async fn a_constraint_refuses_a_pending_import() {
    let store = Store::new().await;
    let run = store.begin(&file(Uuid::now_v7(), "a.json", 1)).await;
    let made_pending = sqlx::query(
        "UPDATE export_channels SET status = 'pending', lease_owner = NULL, lease_expires_at = NULL WHERE id = $1",
    )
    .bind(run.fence.run_id)
    .execute(&store.pool)
    .await;
    assert!(made_pending.unwrap_err().to_string().contains("check constraint"));
    assert_ne!(store.run_status(run.fence.run_id).await, Pending.as_str());
}

#[tokio::test]
async fn the_first_message_is_the_lowest_id_in_any_order() {
    let store = Store::new().await;
    let run = store.begin(&file(Uuid::now_v7(), "a.json", 1)).await;
    let mut connection = store.pool.acquire().await.unwrap();
    for (first, last) in [(900, 950), (80, 1000), (500, 1000)] {
        let at = transitions::Checkpoint {
            first: Some(Snowflake::new(first)),
            last: Some(Snowflake::new(last)),
            ..Default::default()
        };
        transitions::checkpoint(&mut connection, &run.fence, &at).await.unwrap();
    }
    let sql = "SELECT first_message_id || ' ' || last_message_id FROM export_channels WHERE id = $1";
    assert_eq!(store.text(sql, run.fence.run_id).await.as_deref(), Some("80 1000"), "as numbers");
}
