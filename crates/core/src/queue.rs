//! The queue: the only place that names the queue's crates and its schema. A task carries the id of a run
//! and nothing else; the run row is the truth, the task only its call (docs/adr/0001).
//!
//! The crates' own worker loop is not used: it loses running jobs (docs/adr/0001). Their schema, transactional
//! push, `SKIP LOCKED` fetch and fenced acknowledgement are.

use std::time::Duration;

use apalis::prelude::{Status, TaskBuilder, TaskId, TaskResult, WorkerContext};
use apalis_postgres::{Config, PostgresStorage, queries};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnection, PgPool};
use ulid::Ulid;
use uuid::Uuid;

/// Name of the queue that every worker reads.
const QUEUE: &str = "dce-exports";
/// Where the queue's insert trigger notifies.
pub(crate) const INSERTED: &str = "apalis::job::insert";
/// Where the queue's crate records its migrations.
pub(crate) const MIGRATIONS_TABLE: &str = "apalis._sqlx_migrations";
/// An expression that says whether what [`set_up`] makes was ever made here.
pub(crate) const IS_THERE: &str = "to_regclass('apalis._sqlx_migrations') IS NOT NULL
    AND to_regclass('apalis.dce_tasks_by_age') IS NOT NULL";
/// Version of the payload.
const VERSION: u8 = 1;

/// What can go wrong between us and the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A statement failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The queue's own migrations failed.
    #[error(transparent)]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The queue crate refused, other than by a database error.
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

/// The payload of a task.
#[derive(Serialize, Deserialize)]
struct Call {
    v: u8,
    kind: CallKind,
    id: Uuid,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CallKind {
    Run,
}

/// A task to push, as admission made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// A ULID: anything else would stop every reader of the queue.
    pub id: String,
    /// The run it calls.
    pub run_id: Uuid,
    /// Higher is fetched earlier.
    pub priority: i32,
}

/// A fetched task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id, which the run must still carry.
    pub id: String,
    /// The run it calls; `None` when the payload is not one of ours.
    pub run_id: Option<Uuid>,
}

/// A fresh task id.
pub fn new_task_id() -> String {
    Ulid::generate().to_string()
}

/// Sets up the queue's schema with its crate's migrations, and the index of [`prune`]; harmless when it is there already.
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
    // CREATE INDEX waits for all writers and shuts out new ones, even if it then finds the index there: so it is looked for
    // first. Building it takes 1 to 2 s per million tasks, once.
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

/// Those of the queue's crate.
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
        let call = Call { v: VERSION, kind: CallKind::Run, id: task.run_id };
        let payload = serde_json::to_vec(&call).map_err(|error| QueueError::Crate(error.to_string()))?;
        let id = Ulid::from_string(&task.id).map_err(|error| QueueError::Crate(error.to_string()))?;
        Ok(TaskBuilder::new(payload)
            .task_id(TaskId::from_ulid(id))
            .priority(usize::try_from(task.priority).unwrap_or_default())
            .max_attempts(1) // retries are decided by our own tables
            .run_at_timestamp(0) // due whatever this machine's clock says; later would mean no notification
            .build())
    });
    let tasks = tasks.collect::<Result<Vec<_>, QueueError>>()?;
    Ok(queries::push_tasks(connection, QUEUE, tasks).await?)
}

/// Makes a worker known to the queue, which a fetch needs.
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

/// Takes the next task, in the order of admission; committed when this returns.
pub async fn fetch(pool: &PgPool, worker: &str) -> Result<Option<Task>, QueueError> {
    let config = Config::default().queue(QUEUE).batch_size(1); // more would wait here while other workers are free
    let mut connection = pool.acquire().await?;
    let tasks = queries::fetch_next(&mut *connection, &config, &WorkerContext::new(worker)).await?;
    Ok(tasks.into_iter().next().and_then(|task| {
        let call = serde_json::from_slice::<Call>(&task.args).ok().filter(|call| call.v == VERSION);
        task.task_id().map(|id| Task { id: id.to_string(), run_id: call.map(|call| call.id) })
    }))
}

/// Ends a task that this worker fetched, inside the caller's transaction. `false`: it is somebody else's by now.
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

/// Which of these tasks will not come to a claim by themselves any more: gone, ended, or fetched a lease ago.
pub async fn not_live(
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

/// Deletes up to `batch` tasks that ended more than `age` ago, the oldest first, and such as were fetched so long ago
/// and never ended: their worker died before the claim, and their run has another task by now ([`not_live`]).
/// Returns how many; fewer than `batch` means that no more can be had now. Any number of workers may do so at once.
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

/// Forgets workers not seen for `age`, each once the last task that it fetched is pruned: tasks refer to their worker.
/// One that comes back is refused its fetches until it registers again.
pub(crate) async fn prune_workers(pool: &PgPool, age: Duration) -> Result<(), QueueError> {
    let mut tx = pool.begin().await?;
    // Locked first, so that the next statement sees whatever they fetched until now.
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
