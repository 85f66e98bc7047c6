//! The phase of a running run, also where an older program does not know the column.

use dce_core::export::phase::Phase;
use dce_core::export::state::RunStatus;
use dce_core::store::reading::export;
use dce_core::store::transitions;
use uuid::Uuid;

use super::support::{BY_SLOTS, DONE, REPORT, Store};

/// How a program without these columns ends an attempt, as its rescue or its worker.
const OLDER_END: &str = "
    UPDATE export_channels
       SET status = 'pending', failures = 0, run_at = clock_timestamp(), error = NULL,
           lease_owner = NULL, lease_expires_at = NULL, ingest_backends = '[]', finished_at = NULL;
    UPDATE export_attempts SET ended_at = clock_timestamp(), outcome = 'lease_expired' WHERE ended_at IS NULL;
    UPDATE exports SET version = version + 1";
/// How it claims an admitted run.
const OLDER_CLAIM: &str = "
    UPDATE export_channels
       SET status = 'running', attempt = attempt + 1, task_id = NULL, lease_owner = 'old',
           lease_expires_at = clock_timestamp() + interval '1 min'
     WHERE task_id IS NOT NULL;
    INSERT INTO export_attempts (run_id, attempt, worker, cursor_before)
    SELECT id, attempt, 'old', cursor_message_id FROM export_channels;
    UPDATE apalis.jobs SET status = 'Done'";

impl Store {
    /// The phases of the export and of its runs, and the export's version.
    async fn phases(&self, job_id: Uuid) -> (Option<String>, Vec<Option<String>>, i64) {
        let found = export::find(&self.pool, job_id).await.unwrap().unwrap();
        let phase = export::phase(&found.runs).map(ToOwned::to_owned);
        (phase, found.runs.into_iter().map(|run| run.row.phase).collect(), found.row.version)
    }

    async fn execute_all(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }
}

fn name(phase: Phase) -> String {
    phase.as_str().to_owned()
}

#[tokio::test]
async fn a_change_of_phase_is_a_new_version_and_every_end_clears_it() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    assert_eq!(store.phases(job_id).await, (None, vec![None], 1));
    let (reading, verifying) = (Some(name(Phase::Reading)), Some(name(Phase::Verifying)));
    let fence = store.claim("w").await.fence;
    assert_eq!(store.phases(job_id).await, (reading.clone(), vec![reading.clone()], 2));
    transitions::set_phase(&store.pool, &fence, Phase::Reading).await.unwrap();
    assert_eq!(store.phases(job_id).await.2, 2, "no change");
    for _ in 0..2 {
        // The second time as after a lost first answer.
        transitions::set_phase(&store.pool, &fence, Phase::Verifying).await.unwrap();
        assert_eq!(store.phases(job_id).await, (verifying.clone(), vec![verifying.clone()], 3));
    }
    transitions::hand_back(&store.pool, &fence, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.phases(job_id).await, (None, vec![None], 4));

    let fence = store.claim("w").await.fence;
    transitions::set_phase(&store.pool, &fence, Phase::Verifying).await.unwrap();
    let expired = store.expire(fence.run_id).await;
    transitions::rescue(&store.pool, &expired).await.unwrap();
    assert_eq!(store.phases(job_id).await.1, [None]);
    assert_eq!(store.count("SELECT count(phase) FROM export_channels").await, 0, "cleared, not hidden");
}

#[tokio::test]
async fn an_export_shows_the_phase_of_its_least_advanced_run() {
    let store = Store::with_slots(2).await;
    let job_id = store.post(&[1, 2, 3]).await;
    let (first, second) = (store.claim("w").await.fence, store.claim("w").await.fence);
    transitions::set_phase(&store.pool, &first, Phase::Verifying).await.unwrap();
    assert_eq!(store.phases(job_id).await.0, Some(name(Phase::Reading)));
    transitions::set_phase(&store.pool, &second, Phase::Verifying).await.unwrap();
    assert_eq!(store.phases(job_id).await.0, Some(name(Phase::Verifying)));
    sqlx::query("UPDATE export_channels SET phase = 'later' WHERE id = $1")
        .bind(second.run_id)
        .execute(&store.pool)
        .await
        .unwrap();
    assert_eq!(store.phases(job_id).await.0, Some(name(Phase::Verifying)), "before that of a newer program");
    transitions::complete(&store.pool, &first, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.phases(job_id).await.0.as_deref(), Some("later"));
}

#[tokio::test]
async fn an_older_program_works_on_the_same_runs() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    transitions::set_phase(&store.pool, &fence, Phase::Verifying).await.unwrap();
    store.execute_all(OLDER_END).await;
    assert_eq!(store.phases(job_id).await.1, [None], "the phase that it left behind is not shown");

    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    assert!(store.fetch("w").await.is_some());
    store.execute_all(OLDER_CLAIM).await;
    store.execute_all(OLDER_END).await;
    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    let next = store.claim("w").await.fence;
    assert_eq!((next.attempt, store.phases(job_id).await.0), (3, Some(name(Phase::Reading))));
    let ended = transitions::complete(&store.pool, &next, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(ended, RunStatus::Completed);
}
