//! Lock order: sessions that stop at a critical statement delay the others as little as promised.
//! Each test guards a rule of `docs/states.md`, which lists them, and fails without that rule.
//!
//! A gate stops a session: another session that holds the row, table or lock which the statement needs. Transitions run
//! on sessions without time limits, so that a waiting session stays where it is on a machine of any speed.

use std::pin;

use chrono::{DateTime, Utc};
use dce_core::db::{DatabaseUrl, connect_ingest};
use dce_core::export::admission::LEASE;
use dce_core::export::state::{ExportStatus, RunStatus};
use dce_core::store::StoreError;
use dce_core::store::transitions::{
    self, Claim, ControlOutcome, Fence, LeaseState, Reconciled, cancel, checkpoint, claim, complete,
    hand_back, heartbeat, reconcile, rescue, retry,
};
use dce_testkit::process::eventually;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgConnection, PgPool};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::support::{BOUND, BY_SLOTS, DONE, REPORT, Store, at, new_export};

const EXPORT_ROW: &str = "SELECT FROM exports WHERE job_id = $1 FOR NO KEY UPDATE";
const RUN_ROW: &str = "SELECT FROM export_channels WHERE id = $1 FOR NO KEY UPDATE";
const ADMISSION_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('dce.admission'))";
/// Stops a claim after it has locked its run.
const HISTORY: &str = "LOCK TABLE export_attempts IN SHARE MODE";
/// Stops an admission after it has taken the admission lock.
const TASKS: &str = "LOCK TABLE apalis.jobs IN SHARE MODE";

const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
/// Sessions in a deadlock.
const DEADLOCKED: &str = "WITH RECURSIVE waits AS MATERIALIZED (
            SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'),
          chain AS (SELECT pid, blocker FROM waits
              UNION SELECT chain.pid, waits.blocker FROM chain JOIN waits ON waits.pid = chain.blocker)
     SELECT count(*) FROM chain WHERE pid = blocker";
/// Runs, tasks and admission locks that some transaction holds.
const HELD: &str = "SELECT (SELECT count(*) FROM export_channels) - (SELECT count(*) FROM (SELECT FROM export_channels FOR NO KEY UPDATE SKIP LOCKED) r)
          + (SELECT count(*) FROM apalis.jobs) - (SELECT count(*) FROM (SELECT FROM apalis.jobs FOR NO KEY UPDATE SKIP LOCKED) t)
          + (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// Holds a lock that others need until it is opened.
struct Gate(PgConnection);

impl Gate {
    async fn open(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
    }
}

/// A transition under way.
type Started<T> = JoinHandle<Result<T, StoreError>>;

impl Store {
    async fn gate(&self, lock: &'static str) -> Gate {
        let mut session = self.session().await;
        session.execute("BEGIN").await.unwrap();
        session.execute(lock).await.unwrap();
        Gate(session)
    }

    async fn gate_at(&self, row: &'static str, id: Uuid) -> Gate {
        let mut session = self.session().await;
        session.execute("BEGIN").await.unwrap();
        sqlx::query(row).bind(id).execute(&mut session).await.unwrap();
        Gate(session)
    }

    /// Starts a transition on a session of its own, where a deadlock stays visible: Postgres would end it, and the
    /// repetition of the transition would hide it.
    fn start<T, F>(&self, transition: impl FnOnce(PgPool) -> F) -> Started<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let session: PgConnectOptions = self.database.url().parse().unwrap();
        let session = session.options([("deadlock_timeout", "1h")]);
        tokio::spawn(transition(PgPoolOptions::new().max_connections(1).connect_lazy_with(session)))
    }

    /// Waits until so many sessions wait for a lock.
    async fn stopped(&self, sessions: i64) {
        eventually(BOUND, "the sessions are stopped", async || {
            (self.count(WAITING).await == sessions).then_some(())
        })
        .await;
    }

    /// The result of a transition that no gate stops any more.
    async fn end<T>(&self, started: Started<T>) -> Result<T, StoreError> {
        eventually(BOUND, "the transition ends", async || {
            assert_eq!(self.count(DEADLOCKED).await, 0, "sessions are in a deadlock");
            started.is_finished().then_some(())
        })
        .await;
        started.await.unwrap()
    }

    async fn now(&self) -> DateTime<Utc> {
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.pool).await.unwrap()
    }

    /// The whole lease has passed before this time.
    async fn assert_lease_from(&self, moment: DateTime<Utc>, fence: &Fence) {
        let until: DateTime<Utc> =
            sqlx::query_scalar("SELECT lease_expires_at FROM export_channels WHERE id = $1")
                .bind(fence.run_id)
                .fetch_one(&self.pool)
                .await
                .unwrap();
        let lease = (until - moment).to_std().unwrap();
        assert!(lease >= LEASE, "{lease:?} left of {LEASE:?}");
    }
}

#[tokio::test]
async fn a_transition_that_waits_for_an_export_holds_no_other_lock() {
    let store = Store::with_slots(2).await;
    let job_id = store.post(&[1, 2, 3]).await;
    let fence = store.claim("w").await.fence;
    let expired = store.expire(fence.run_id).await;
    let task = store.fetch("w").await.expect("a task");

    let gate = store.gate_at(EXPORT_ROW, job_id).await;
    let transitions = [
        store.start(move |pool| async move { claim(&pool, &task, "w").await.map(drop) }),
        store.start(
            move |pool| async move { complete(&pool, &fence, &DONE, &REPORT, BY_SLOTS).await.map(drop) },
        ),
        store.start(move |pool| async move { cancel(&pool, job_id, BY_SLOTS).await.map(drop) }),
        store.start(move |pool| async move { retry(&pool, job_id, BY_SLOTS).await.map(drop) }),
        store.start(move |pool| async move { rescue(&pool, &expired).await.map(drop) }),
    ];
    store.stopped(5).await;
    assert_eq!(store.count(HELD).await, 0);

    gate.open().await;
    for transition in transitions {
        let ended = store.end(transition).await;
        assert!(matches!(ended, Ok(()) | Err(StoreError::Lost)), "{ended:?}");
    }
}

#[tokio::test]
async fn a_cancel_waits_for_the_export_of_a_claim_that_has_its_run() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let task = store.fetch("w").await.expect("a task");

    let gate = store.gate(HISTORY).await;
    let claim = store.start(move |pool| async move { claim(&pool, &task, "w").await });
    store.stopped(1).await;
    let cancel = store.start(move |pool| async move { cancel(&pool, job_id, BY_SLOTS).await });
    store.stopped(2).await;

    gate.open().await;
    let claim = store.end(claim).await.unwrap();
    assert!(matches!(claim, Claim::Won(_)), "{claim:?}");
    assert_eq!(store.end(cancel).await.unwrap(), ControlOutcome::Now(ExportStatus::Running));
}

#[tokio::test]
async fn an_end_takes_the_admission_lock_last() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1, 2]).await;
    let fence = store.claim("w").await.fence;
    let waiting =
        store.text("SELECT id::text FROM export_channels WHERE job_id = $1 AND status = 'pending'", job_id);
    let waiting = waiting.await.expect("a run").parse().unwrap();

    let gate = store.gate_at(RUN_ROW, waiting).await;
    let cancel = store.start(move |pool| async move { cancel(&pool, job_id, BY_SLOTS).await });
    store.stopped(1).await;
    let end = store.start(move |pool| async move { hand_back(&pool, &fence, &REPORT, BY_SLOTS).await });
    store.stopped(2).await;

    gate.open().await;
    assert_eq!(store.end(cancel).await.unwrap(), ControlOutcome::Now(ExportStatus::Running));
    assert_eq!(store.end(end).await.unwrap(), RunStatus::Cancelled);
    assert_eq!(store.status(job_id).await, "cancelled");
}

#[tokio::test]
async fn concurrent_admissions_do_not_assign_a_place_twice() {
    let store = Store::with_slots(1).await;
    let gate = store.gate(TASKS).await;
    let first =
        store.start(|pool| async move { transitions::create(&pool, &new_export(&[1]), BY_SLOTS).await });
    store.stopped(1).await;
    let second =
        store.start(|pool| async move { transitions::create(&pool, &new_export(&[2]), BY_SLOTS).await });
    store.stopped(2).await;

    gate.open().await;
    let first = store.end(first).await.unwrap().job_id;
    store.end(second).await.unwrap();
    let admitted: Vec<Uuid> =
        sqlx::query_scalar("SELECT job_id FROM export_channels WHERE task_id IS NOT NULL")
            .fetch_all(&store.pool)
            .await
            .unwrap();
    assert_eq!(admitted, [first]);
}

#[tokio::test]
async fn an_admission_waits_for_no_run_of_a_waiting_cancel() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1, 2]).await;
    // One run has lost its task, one has a place now: both need the reconciler.
    store.execute("DELETE FROM apalis.jobs").await;
    store.execute("UPDATE workers SET slots = 2").await;

    let gate = store.gate(ADMISSION_LOCK).await;
    let tick = store.start(|pool| async move { reconcile(&pool, BY_SLOTS).await });
    store.stopped(1).await;
    let cancel = store.start(move |pool| async move { cancel(&pool, job_id, BY_SLOTS).await });
    store.stopped(2).await; // it has both runs

    gate.open().await;
    assert_eq!(store.end(tick).await.unwrap(), Reconciled { renewed: 0, admitted: 0 });
    assert_eq!(store.end(cancel).await.unwrap(), ControlOutcome::Now(ExportStatus::Cancelled));
}

#[tokio::test]
async fn an_ending_run_does_not_delay_heartbeats_of_others() {
    let store = Store::with_slots(2).await;
    store.post(&[1, 2]).await;
    let (ending, neighbour) = (store.claim("w").await.fence, store.claim("w").await.fence);
    let runs = [&ending, &neighbour].map(|fence| (fence.run_id, fence.attempt));
    let beats = async || {
        let beats = heartbeat(&store.pool, "w", &runs).await.unwrap();
        runs.map(|(run_id, _)| beats[&run_id])
    };

    let gate = store.gate(ADMISSION_LOCK).await;
    let end =
        store.start(move |pool| async move { complete(&pool, &ending, &DONE, &REPORT, BY_SLOTS).await });
    store.stopped(1).await;
    assert_eq!(beats().await, [LeaseState::Busy, LeaseState::Renewed]);

    gate.open().await;
    assert_eq!(store.end(end).await.unwrap(), RunStatus::Completed);
    assert_eq!(beats().await, [LeaseState::Lost, LeaseState::Renewed]);
}

#[tokio::test]
async fn a_cancel_waits_for_no_batch_of_a_running_run() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    let mut ingest = connect_ingest(&url, "w").await.unwrap();
    ingest.execute("BEGIN").await.unwrap();
    checkpoint(&mut ingest, &fence, &at(100, 1)).await.unwrap();

    let cancelled = cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    assert_eq!(cancelled, ControlOutcome::Now(ExportStatus::Running));

    ingest.execute("COMMIT").await.unwrap();
    let ended = hand_back(&store.pool, &fence, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(ended, RunStatus::Cancelled);
    assert_eq!(store.everything(job_id).await["export"]["message_count"], 1, "what was read counts");
}

#[tokio::test]
async fn a_lease_starts_at_the_checkpoint_of_a_long_batch() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let mut ingest = store.session().await;
    ingest.execute("BEGIN").await.unwrap();
    let copied = store.now().await;
    checkpoint(&mut ingest, &fence, &at(100, 1)).await.unwrap();
    ingest.execute("COMMIT").await.unwrap();
    store.assert_lease_from(copied, &fence).await;
}

#[tokio::test]
async fn a_lease_starts_at_the_end_of_a_claim_that_waited() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    let task = store.fetch("w").await.expect("a task");
    let gate = store.gate_at(EXPORT_ROW, job_id).await;
    let claim = store.start(move |pool| async move { claim(&pool, &task, "w").await });
    store.stopped(1).await;
    let waited = store.now().await;
    gate.open().await;
    let Claim::Won(run) = store.end(claim).await.unwrap() else { panic!("a stale task") };
    store.assert_lease_from(waited, &run.fence).await;
}

#[tokio::test]
async fn a_process_stopped_before_its_commit_delays_others_once() {
    let store = Store::with_slots(2).await;
    let new = new_export(&[1]);
    let mut stopped = pin::pin!(transitions::create(&store.pool, &new, BY_SLOTS));
    let gate = store.gate(ADMISSION_LOCK).await;
    tokio::select! {
        created = &mut stopped => panic!("admitted without the lock: {created:?}"),
        () = store.stopped(1) => {}
    }
    // Nothing polls it any more, as if its process had been stopped; its session gets the lock and keeps it.
    gate.open().await;
    store.post(&[2]).await;

    // It resumes, finds its session terminated, and repeats.
    stopped.await.unwrap();
    assert_eq!(store.count("SELECT count(*) FROM export_channels WHERE task_id IS NOT NULL").await, 2);

    // A single wait for the lock outlasts the stopped session.
    let outlasts = "SELECT count(*) FROM pg_settings AS idle, pg_settings AS lock
         WHERE idle.name = 'idle_in_transaction_session_timeout' AND lock.name = 'lock_timeout'
           AND idle.setting::int BETWEEN 1 AND lock.setting::int - 1";
    assert_eq!(store.count(outlasts).await, 1);
}
