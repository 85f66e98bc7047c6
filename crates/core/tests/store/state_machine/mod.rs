//! SQL and the state machine agree on any sequence of events.

mod model;
mod step;

use std::collections::HashMap;
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::phase::Phase;
use dce_core::export::retry::PROOF_GRACE;
use dce_core::export::state::{AttemptEnd, ExportStatus, Run, RunCounts, RunEvent, RunStatus};
use dce_core::ids::Snowflake;
use dce_core::store::transitions::{
    self, AttemptReport, Checkpoint, Claim, Completion, ControlOutcome, Fence, NewExport, Reread, Verified,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use self::model::{ExportModel, RunModel};
use self::step::{FailedHow, Step, any_step};
use super::support::{BY_SLOTS, REPORT, Store, new_export};

/// Of the two workers together.
const SLOTS: usize = 3;
const MAX_ATTEMPTS: u32 = 3;

/// One row of `export_channels` with its history.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Uuid,
    job_id: Uuid,
    channel_id: String,
    status: String,
    attempt: i32,
    failures: i32,
    task_id: Option<String>,
    phase: Option<String>,
    is_through: bool,
    reread_from: Option<String>,
    is_verified: bool,
    history: i64,
    unended: i64,
}

struct World<'a> {
    store: &'a Store,
    exports: Vec<(Uuid, ExportModel)>,
    runs: HashMap<Uuid, RunModel>,
    /// In the order of their creation.
    order: Vec<Uuid>,
}

#[test]
fn sql_and_the_state_machine_agree() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(Store::new());
    let config = Config { cases: 64, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(any_step(), 10..60), |steps| {
            runtime.block_on(story(&store, steps));
            Ok(())
        })
        .unwrap();
}

async fn story(store: &Store, steps: Vec<Step>) {
    store.execute("TRUNCATE exports, export_channels, export_attempts, apalis.jobs").await;
    store.register("a", 1).await;
    store.register("b", 2).await;
    let mut world = World { store, exports: Vec::new(), runs: HashMap::new(), order: Vec::new() };
    for step in steps {
        world.take(&step).await;
        world.compare(&step).await;
    }
}

impl World<'_> {
    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Create(ref channels) => self.create(channels).await,
            Step::Tick => self.tick().await,
            Step::Claim(worker) => self.claim(if worker % 3 == 0 { "a" } else { "b" }).await,
            Step::Checkpoint(choice, progress) => {
                let Some((id, fence)) = self.running(choice) else { return };
                self.runs.get_mut(&id).unwrap().reached(progress);
                let mut session = self.store.pool.acquire().await.unwrap();
                transitions::checkpoint(&mut session, &fence, &self.checkpoint(id)).await.unwrap();
            }
            Step::Verify(choice) => {
                let Some((id, fence)) = self.running(choice) else { return };
                transitions::set_phase(&self.store.pool, &fence, Phase::Verifying).await.unwrap();
                self.runs.get_mut(&id).unwrap().phase = Some(Phase::Verifying);
            }
            Step::BeginReading(choice) => {
                let Some((id, fence)) = self.running(choice) else { return };
                transitions::begin_reading(&self.store.pool, &fence).await.unwrap();
                let model = self.runs.get_mut(&id).unwrap();
                (model.phase, model.through) = (Some(Phase::Reading), false);
            }
            Step::Complete(choice, last, proven) => {
                let Some((id, fence)) = self.running(choice) else { return };
                let model = self.runs.get_mut(&id).unwrap();
                model.reached(last.unwrap_or(false));
                model.verified = proven;
                let completion = Completion {
                    verified: proven.then_some(Verified { newest: None }),
                    warn_not_verified: !proven,
                    last: last.map(|_| self.checkpoint(id)),
                };
                let pool = &self.store.pool;
                let now = transitions::complete(pool, &fence, &completion, &REPORT, BY_SLOTS).await.unwrap();
                self.end(id, AttemptEnd::Completed, now);
            }
            Step::Fail(choice, how) => {
                let Some((id, fence)) = self.running(choice) else { return };
                self.fail(id, &fence, how).await;
            }
            Step::HandBack(choice, through) => {
                let Some((id, fence)) = self.running(choice) else { return };
                let report = AttemptReport { through, ..REPORT };
                let now = transitions::hand_back(&self.store.pool, &fence, &report, BY_SLOTS).await.unwrap();
                self.runs.get_mut(&id).unwrap().through |= through;
                self.end(id, AttemptEnd::HandedBack, now);
            }
            Step::WaitForProof(choice, overdue) => {
                let Some((id, fence)) = self.running(choice) else { return };
                self.wait_for_proof(id, &fence, overdue).await;
            }
            Step::Expire(choice) => {
                let Some((id, _)) = self.running(choice) else { return };
                let expired = self.store.expire(id).await;
                let now = transitions::rescue(&self.store.pool, &expired).await.unwrap();
                self.end(id, AttemptEnd::LeaseExpired, now.expect("rescued"));
            }
            Step::Cancel(choice) => self.cancel(choice).await,
            Step::Retry(choice) => self.retry(choice).await,
        }
    }

    /// What the attempt of this run has committed.
    fn checkpoint(&self, id: Uuid) -> Checkpoint {
        let messages = self.runs[&id].messages;
        // Without progress the cursor is repeated, or there is none yet.
        let cursor = Some(messages).filter(|messages| *messages > 0);
        Checkpoint {
            cursor: cursor.map(|messages| Snowflake::new(1000 + messages.unsigned_abs())),
            message_count: messages,
            ..Checkpoint::default()
        }
    }

    async fn fail(&mut self, id: Uuid, fence: &Fence, how: FailedHow) {
        let model = self.runs.get_mut(&id).unwrap();
        let (kind, retryable, report) = match how {
            FailedHow::Retryable => (FailureKind::Stalled, true, REPORT),
            FailedHow::Finally => (FailureKind::MissingAccess, false, REPORT),
            FailedHow::Short(reread) => {
                let retryable = model.may_be_short_again();
                (model.through, model.reread) = (true, reread);
                let reread = reread.map_or(Reread::Nothing, |id| Reread::From(Snowflake::new(id)));
                (FailureKind::OutputShort, retryable, AttemptReport { through: true, reread, ..REPORT })
            }
        };
        let (pool, failure) = (&self.store.pool, Failure::new(kind));
        let now = transitions::fail(pool, fence, &failure, 0.5, &report, BY_SLOTS).await.unwrap();
        self.end_short(id, AttemptEnd::Failed { retryable }, now, kind == FailureKind::OutputShort);
    }

    async fn wait_for_proof(&mut self, id: Uuid, fence: &Fence, overdue: bool) {
        let model = self.runs.get_mut(&id).unwrap();
        let waited = if model.through && overdue { PROOF_GRACE } else { Duration::ZERO };
        model.through = true;
        sqlx::query(
            "UPDATE export_channels SET through_at = clock_timestamp() - make_interval(secs => $2)
              WHERE id = $1 AND through_at IS NOT NULL",
        )
        .bind(id)
        .bind(waited.as_secs_f64())
        .execute(&self.store.pool)
        .await
        .unwrap();
        let (pool, reason) = (&self.store.pool, Failure::new(FailureKind::DiscordUnavailable));
        let now = transitions::wait_for_proof(pool, fence, &reason, &REPORT, BY_SLOTS).await.unwrap();
        self.end(id, AttemptEnd::Unproven { waited }, now);
    }

    async fn create(&mut self, channels: &[u64]) {
        let new = NewExport { max_attempts: MAX_ATTEMPTS, ..new_export(channels) };
        let job_id = self.store.post_new(&new).await;
        let ids: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM export_channels WHERE job_id = $1 ORDER BY id")
                .bind(job_id)
                .fetch_all(&self.store.pool)
                .await
                .unwrap();
        let run = Run {
            status: RunStatus::Pending,
            attempt: 0,
            failures: 0,
            max_attempts: MAX_ATTEMPTS,
            admitted: false,
        };
        for id in ids {
            self.runs.insert(id, RunModel::new(job_id, run));
            self.order.push(id);
        }
        self.exports.push((job_id, ExportModel::default()));
    }

    /// Makes all runs due; afterwards no free place is left for a run.
    async fn tick(&self) {
        self.store
            .execute("UPDATE export_channels SET run_at = clock_timestamp() WHERE status = 'pending'")
            .await;
        let done = transitions::reconcile(&self.store.pool, BY_SLOTS).await.unwrap();
        assert_eq!(done.renewed, 0, "every task is live here");
        let rows = self.rows().await;
        let active = |row: &&Row| row.status == "running" || row.task_id.is_some();
        let busy: Vec<_> = rows.iter().filter(active).map(|row| row.channel_id.clone()).collect();
        let free =
            rows.iter().filter(|row| row.status == "pending" && !busy.contains(&row.channel_id)).count();
        assert!(
            busy.len() == SLOTS || free == 0,
            "{free} runs wait beside {} free places",
            SLOTS - busy.len()
        );
    }

    async fn claim(&mut self, worker: &str) {
        let rows = self.rows().await;
        let Some(task) = self.store.fetch(worker).await else {
            assert!(rows.iter().all(|row| row.task_id.is_none()), "an admitted run has a task");
            return;
        };
        let called = rows.iter().find(|row| row.task_id.as_ref() == Some(&task.id));
        match (called, transitions::claim(&self.store.pool, &task, worker).await.unwrap()) {
            (None, Claim::Nothing) => {}
            (Some(row), Claim::Won(claimed)) => {
                let model = self.runs.get_mut(&row.id).unwrap();
                let reread = claimed.reread_from.map(Snowflake::get);
                assert_eq!((claimed.through.is_some(), reread), (model.through, model.reread));
                model.claimed(claimed.fence);
                self.settle(row.job_id);
            }
            (called, claim) => panic!("{called:?} but {claim:?}"),
        }
    }

    fn end(&mut self, id: Uuid, end: AttemptEnd, reported: RunStatus) {
        self.end_short(id, end, reported, false);
    }

    fn end_short(&mut self, id: Uuid, end: AttemptEnd, reported: RunStatus, is_short: bool) {
        let job_id = self.runs[&id].job_id;
        let cancel_requested =
            self.exports.iter().any(|(id, export)| *id == job_id && export.cancel_requested);
        let expected = self.runs.get_mut(&id).unwrap().ended(end, is_short, cancel_requested);
        assert_eq!(reported, expected);
        self.settle(job_id);
    }

    async fn cancel(&mut self, choice: u8) {
        let Some((job_id, before)) = self.chosen(choice) else { return };
        let reported = transitions::cancel(&self.store.pool, job_id, BY_SLOTS).await.unwrap();
        match before {
            RunStatus::Completed | RunStatus::Failed => {
                return assert_eq!(reported, ControlOutcome::Refused(before));
            }
            RunStatus::Cancelled => return assert_eq!(reported, ControlOutcome::Now(before)),
            RunStatus::Pending | RunStatus::Running => {}
        }
        self.apply_to_runs(job_id, RunEvent::Cancel);
        self.export(job_id).cancel_requested = true;
        assert_eq!(reported, ControlOutcome::Now(self.settle(job_id)));
    }

    async fn retry(&mut self, choice: u8) {
        let Some((job_id, before)) = self.chosen(choice) else { return };
        let reported = transitions::retry(&self.store.pool, job_id, BY_SLOTS).await.unwrap();
        let cancelling = self.export(job_id).cancel_requested && !before.is_final();
        if self.apply_to_runs(job_id, RunEvent::Retry) == 0 && !cancelling {
            assert_eq!(reported, ControlOutcome::Refused(before));
            return;
        }
        self.export(job_id).cancel_requested = false;
        assert_eq!(reported, ControlOutcome::Now(self.settle(job_id)));
    }

    /// Number of runs that the event changed.
    fn apply_to_runs(&mut self, job_id: Uuid, event: RunEvent) -> usize {
        let runs = self.runs.values_mut().filter(|model| model.job_id == job_id);
        runs.filter_map(|model| model.run.after(event, false).map(|after| model.run = after)).count()
    }

    /// Records the settled state and returns the status.
    fn settle(&mut self, job_id: Uuid) -> ExportStatus {
        let messages = self.runs.values().filter(|model| model.job_id == job_id).map(|model| model.messages);
        self.export(job_id).messages = messages.sum();
        self.derived(job_id)
    }

    fn derived(&self, job_id: Uuid) -> ExportStatus {
        RunCounts::new(self.runs.values().filter(|model| model.job_id == job_id).map(|model| model.run))
            .status()
    }

    fn export(&mut self, job_id: Uuid) -> &mut ExportModel {
        self.exports.iter_mut().find(|(id, _)| *id == job_id).map(|(_, export)| export).unwrap()
    }

    fn chosen(&self, choice: u8) -> Option<(Uuid, ExportStatus)> {
        let (job_id, _) = self.exports.get(usize::from(choice) % self.exports.len().max(1))?;
        Some((*job_id, self.derived(*job_id)))
    }

    fn running(&self, choice: u8) -> Option<(Uuid, Fence)> {
        let running: Vec<_> =
            self.order.iter().filter_map(|id| Some((*id, self.runs[id].fence.clone()?))).collect();
        running.get(usize::from(choice) % running.len().max(1)).cloned()
    }

    async fn rows(&self) -> Vec<Row> {
        sqlx::query_as(
            "SELECT r.id, r.job_id, r.channel_id, r.status, r.attempt, r.failures, r.task_id, r.phase,
                    r.through_at IS NOT NULL AS is_through, r.reread_from, r.verified_at IS NOT NULL AS is_verified,
                    (SELECT count(*) FROM export_attempts a WHERE a.run_id = r.id) AS history,
                    (SELECT count(*) FROM export_attempts a WHERE a.run_id = r.id AND a.outcome IS NULL) AS unended
               FROM export_channels r",
        )
        .fetch_all(&self.store.pool)
        .await
        .unwrap()
    }

    async fn compare(&mut self, step: &Step) {
        let rows = self.rows().await;
        assert_eq!(rows.len(), self.runs.len());
        for row in &rows {
            let model = self.runs.get_mut(&row.id).unwrap();
            if row.task_id.is_some() && !model.run.admitted && step.admits() {
                model.run = model.run.after(RunEvent::Admit, false).expect("may be admitted");
            }
            let stored = Run {
                status: RunStatus::parse(&row.status).unwrap(),
                attempt: row.attempt.unsigned_abs(),
                failures: row.failures.unsigned_abs(),
                max_attempts: MAX_ATTEMPTS,
                admitted: row.task_id.is_some(),
            };
            assert_eq!(stored, model.run, "{step:?}: {row:?}");
            let proof = (row.phase.as_deref(), row.is_through, &row.reread_from, row.is_verified);
            let reread = model.reread.map(|id| id.to_string());
            let expected = (model.phase.map(Phase::as_str), model.through, &reread, model.verified);
            assert_eq!(proof, expected, "{step:?}: {row:?}");
            assert_eq!(row.history, i64::from(row.attempt), "an attempt has one row of history: {row:?}");
            assert_eq!(row.unended, i64::from(row.status == "running"), "{row:?}");
        }
        let mut active: Vec<_> =
            rows.iter().filter(|row| row.status == "running" || row.task_id.is_some()).collect();
        assert!(active.len() <= SLOTS, "{} at once", active.len());
        active.sort_by_key(|row| &row.channel_id);
        assert!(active.windows(2).all(|pair| pair[0].channel_id != pair[1].channel_id), "{active:?}");
        let mut stored: Vec<(Uuid, String, i64, bool)> =
            sqlx::query_as("SELECT job_id, status, message_count, verified_at IS NOT NULL FROM exports")
                .fetch_all(&self.store.pool)
                .await
                .unwrap();
        let is_verified =
            |id: Uuid| self.runs.values().filter(|run| run.job_id == id).all(|run| run.verified);
        let expected = self
            .exports
            .iter()
            .map(|(id, model)| (*id, self.derived(*id).to_string(), model.messages, is_verified(*id)));
        let mut expected: Vec<_> = expected.collect();
        // By their ids: times come from the machine's clock, which may be set back.
        stored.sort();
        expected.sort();
        assert_eq!(stored, expected, "{step:?}");
    }
}
