//! The queue: the only file that names the queue's crates and its schema. A task carries only the id of a run: the run
//! row is the truth, the task a reference to it (docs/adr/0001).
//!
//! Of the crates, their schema, transactional push, `SKIP LOCKED` fetch and fenced acknowledgement are used, but not
//! their worker loop, which loses running jobs (docs/adr/0001).

use std::time::Duration;

use apalis::prelude::{Status, TaskBuilder, TaskId, TaskResult, WorkerContext};
use apalis_postgres::{Config, PostgresStorage, queries};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnection, PgPool};
use ulid::Ulid;
use uuid::Uuid;

const QUEUE: &str = "dce-exports";
/// NOTIFY channel of the queue's insert trigger.
pub(crate) const INSERT_CHANNEL: &str = "apalis::job::insert";
/// The table in which the queue's crate records its migrations.
pub(crate) const MIGRATIONS_TABLE: &str = "apalis._sqlx_migrations";
/// SQL expression: [`set_up`] has run on this database.
pub(crate) const IS_SET_UP: &str = "to_regclass('apalis._sqlx_migrations') IS NOT NULL
    AND to_regclass('apalis.dce_tasks_by_age') IS NOT NULL";
const PAYLOAD_VERSION: u8 = 1;

/// Errors of the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// An error of the queue's crate that is no database error.
    #[error("queue: {0}")]
    Crate(String),
}

impl From<apalis_postgres::Error> for QueueError {
    fn from(error: apalis_postgres::Error) -> Self {
        match error {
            apalis_postgres::Error::Database(error) => Self::Database(error),
            other => Self::Crate(other.to_string()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Payload {
    v: u8,
    kind: TaskKind,
    id: Uuid,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TaskKind {
    Run,
}

/// A task to push, as admission made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// A ULID: anything else would stop every reader of the queue.
    pub id: String,
    pub run_id: Uuid,
    /// Higher ones are fetched earlier.
    pub priority: i32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The run must still carry this id.
    pub id: String,
    /// `None`: the payload is not one of ours.
    pub run_id: Option<Uuid>,
}

pub fn new_task_id() -> String {
    Ulid::generate().to_string()
}

/// Sets up the queue's schema with its crate's migrations, and the index of [`prune`]. Idempotent.
pub(crate) async fn set_up(connection: &mut PgConnection) -> Result<(), QueueError> {
    // Supabase keeps extensions in a schema of their own, which is on every role's search_path. The queue's migrations
    // would put theirs into `public`, so they are made first.
    sqlx::raw_sql(
        "DO $$ BEGIN
           PERFORM pg_advisory_xact_lock(hashtext('dce.extensions')); -- made by two sessions at once they collide
           IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN
             CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA extensions;
             CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA extensions;
           END IF;
         END $$",
    )
    .execute(&mut *connection)
    .await?;
    migrations().run_direct(None, &mut *connection, false).await?;
    // CREATE INDEX waits for all writers and blocks new ones, even if it then finds that the index exists: hence the
    // check. The build takes 1 to 2 s per million tasks, once.
    sqlx::raw_sql(
        "DO $$ BEGIN
           PERFORM pg_advisory_xact_lock(hashtext('dce.queue_index')); -- made by two sessions at once they collide
           IF to_regclass('apalis.dce_tasks_by_age') IS NULL THEN
             CREATE INDEX IF NOT EXISTS dce_tasks_by_age ON apalis.jobs (job_type, coalesce(done_at, lock_at, run_at))
              WHERE status <> 'Pending';
           END IF;
         END $$",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The migrations of the queue's crate.
pub(crate) fn migrations() -> Migrator {
    let mut migrations = PostgresStorage::<()>::migrations();
    migrations.set_ignore_missing(true);
    migrations
}

/// Pushes tasks inside the caller's transaction; readers are notified when it commits.
pub async fn push(connection: &mut PgConnection, tasks: &[NewTask]) -> Result<(), QueueError> {
    if tasks.is_empty() {
        return Ok(());
    }
    let tasks = tasks.iter().map(|task| {
        let payload = Payload { v: PAYLOAD_VERSION, kind: TaskKind::Run, id: task.run_id };
        let bytes = serde_json::to_vec(&payload).map_err(|error| QueueError::Crate(error.to_string()))?;
        let id = Ulid::from_string(&task.id).map_err(|error| QueueError::Crate(error.to_string()))?;
        Ok(TaskBuilder::new(bytes)
            .task_id(TaskId::from_ulid(id))
            .priority(usize::try_from(task.priority).unwrap_or_default())
            .max_attempts(1) // retries are decided by our own tables
            .run_at_timestamp(0) // due whatever this machine's clock shows; a later time would suppress the notification
            .build())
    });
    let tasks = tasks.collect::<Result<Vec<_>, QueueError>>()?;
    Ok(queries::push_tasks(connection, QUEUE, tasks).await?)
}

/// Registers a worker in the queue, which a fetch requires.
pub async fn register_worker(pool: &PgPool, worker: &str) -> Result<(), QueueError> {
    // The crate's own query takes a type that it does not export (apalis-postgres 1.0.0).
    sqlx::query(
        "INSERT INTO apalis.workers (id, worker_type, storage_name, layers, last_seen)
         VALUES ($1, $2, 'dce-service', '', clock_timestamp())
         ON CONFLICT (id) DO UPDATE SET last_seen = clock_timestamp()",
    )
    .bind(worker)
    .bind(QUEUE)
    .execute(pool)
    .await?;
    Ok(())
}

/// Fetches the next task, in the order of admission. Committed when this returns.
pub async fn fetch(pool: &PgPool, worker: &str) -> Result<Option<Task>, QueueError> {
    let config = Config::default().queue(QUEUE).batch_size(1); // more tasks would wait here while other workers are free
    let mut connection = pool.acquire().await?;
    let tasks = queries::fetch_next(&mut *connection, &config, &WorkerContext::new(worker)).await?;
    Ok(tasks.into_iter().next().and_then(|task| {
        let payload =
            serde_json::from_slice::<Payload>(&task.args).ok().filter(|payload| payload.v == PAYLOAD_VERSION);
        task.task_id().map(|id| Task { id: id.to_string(), run_id: payload.map(|payload| payload.id) })
    }))
}

/// Acknowledges a task that this worker fetched, inside the caller's transaction. `false`: another worker has it now.
pub async fn acknowledge(
    connection: &mut PgConnection,
    task: &str,
    worker: &str,
) -> Result<bool, QueueError> {
    let id = Ulid::from_string(task).map_err(|error| QueueError::Crate(error.to_string()))?;
    let result = TaskResult {
        task_id: TaskId::from_ulid(id),
        attempt: 1,
        status: Status::Done,
        result: Ok(serde_json::Value::Null),
    };
    Ok(queries::handle_results(connection, &[&result], worker).await? == 1)
}

/// Returns the tasks among these that can no longer be claimed: deleted, ended, or fetched a lease ago.
pub async fn dead_tasks(
    connection: &mut PgConnection,
    tasks: &[String],
    lease: Duration,
) -> Result<Vec<String>, QueueError> {
    let dead = sqlx::query_scalar(
        "SELECT t.id FROM unnest($1::text[]) AS t (id)
          WHERE NOT EXISTS (SELECT FROM apalis.jobs j WHERE j.id = t.id AND (j.status = 'Pending'
                OR (j.status IN ('Queued', 'Running') AND j.lock_at > clock_timestamp() - make_interval(secs => $2))))",
    )
    .bind(tasks)
    .bind(lease.as_secs_f64())
    .fetch_all(connection)
    .await?;
    Ok(dead)
}

/// Deletes up to `batch` tasks that ended more than `age` ago, the oldest first, and tasks fetched that long ago that
/// never ended: their worker died before the claim, and their run has another task by now ([`dead_tasks`]). Returns their
/// number; fewer than `batch` means that none is left for now. Safe to run in several workers at once.
pub async fn prune(pool: &PgPool, age: Duration, batch: u32) -> Result<u64, QueueError> {
    // The index of `set_up`, in its order. Not clock_timestamp(): being volatile, it cannot bound an index scan.
    let deleted = sqlx::query(
        "DELETE FROM apalis.jobs WHERE id = ANY (ARRAY(
           SELECT id FROM apalis.jobs
            WHERE job_type = $1 AND status <> 'Pending'
              AND coalesce(done_at, lock_at, run_at) < statement_timestamp() - make_interval(secs => $2)
            ORDER BY coalesce(done_at, lock_at, run_at) LIMIT $3 FOR UPDATE SKIP LOCKED))",
    )
    .bind(QUEUE)
    .bind(age.as_secs_f64())
    .bind(i64::from(batch))
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes workers not seen for `age`, each once the last task that it fetched is pruned: tasks refer to their worker.
/// One that returns cannot fetch until it registers again.
pub(crate) async fn prune_workers(pool: &PgPool, age: Duration) -> Result<(), QueueError> {
    let mut tx = pool.begin().await?;
    // Locked first, so that the next statement sees all tasks that they have fetched.
    let unseen: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM apalis.workers
          WHERE worker_type = $1 AND last_seen < clock_timestamp() - make_interval(secs => $2)
            FOR UPDATE SKIP LOCKED",
    )
    .bind(QUEUE)
    .bind(age.as_secs_f64())
    .fetch_all(&mut *tx)
    .await?;
    if unseen.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM apalis.workers w
          WHERE w.id = ANY ($1) AND NOT EXISTS (SELECT FROM apalis.jobs j WHERE j.lock_by = w.id)",
    )
    .bind(unseen)
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}
