//! What a worker does with a run while it owns it: claim, heartbeat, note its sessions, checkpoint.
//! How ownership ends is in [`super::ends`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, exactly_one, exports, repeated};
use crate::export::admission::LEASE;
use crate::export::conflict::OnConflict;
use crate::export::warnings::Counters;
use crate::ids::{DISCORD_EPOCH_MS, Snowflake};
use crate::queue;

/// The fence: every write of a worker holds only for this attempt of this owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The run.
    pub run_id: Uuid,
    /// Its attempt, which only grows.
    pub attempt: i32,
    /// The worker's id, new at every process start.
    pub worker: String,
}

/// A run as its new owner needs it.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    /// What every write carries.
    pub fence: Fence,
    /// The export.
    pub job_id: Uuid,
    /// The channel or thread.
    pub channel_id: Snowflake,
    /// From this moment on.
    pub start_at: Option<DateTime<Utc>>,
    /// Exclusive end, fixed at the first claim.
    pub upper: Snowflake,
    /// Everything up to here is committed.
    pub cursor: Option<Snowflake>,
    /// Messages below the cursor.
    pub message_count: i64,
    /// Repaired messages below the cursor.
    pub repaired_count: i64,
    /// What was noticed about messages below the cursor.
    pub counters: Counters,
    /// Bytes of DCE's output that were read by earlier attempts.
    pub bytes_read: i64,
    /// `options` of the export.
    pub options: RunOptions,
    /// The request that created the export.
    pub request_id: Option<String>,
}

impl ClaimedRun {
    /// Everything up to here is not read: up to the cursor, else to just below the first id of `start_at`, because DCE's
    /// `--after` is exclusive and `start_at` is not. `None`: the channel is read from its beginning.
    pub fn after(&self) -> Option<Snowflake> {
        let from_start = self.start_at.and_then(Snowflake::first_at).map(Snowflake::before);
        self.cursor.max(from_start)
    }
}

/// The part of an export's `options` that shapes what DCE and the ingest do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Whether DCE resolves mentions and emoji into names (lossy).
    pub markdown: bool,
    /// DCE's message filter.
    pub filter: Option<String>,
    /// What becomes of messages that are archived already.
    pub on_conflict: OnConflict,
    /// Whether what an update replaces is kept.
    pub keep_versions: bool,
}

/// What came of a task.
#[derive(Debug)]
pub enum Claim {
    /// The run is this worker's.
    Won(Box<ClaimedRun>),
    /// The task was stale, or a cancel is asked for; it is acknowledged and forgotten.
    Nothing,
}

/// Claims the run that a fetched task calls and acknowledges the task, in one transaction. A worker claims one task at a
/// time, so that a repetition after a lost answer can tell that a run is its own.
pub async fn claim(pool: &PgPool, task: &queue::Task, worker: &str) -> Result<Claim, StoreError> {
    let answer_may_be_lost = &AtomicBool::new(false);
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let claim = if let Some(run_id) = task.run_id {
            match claim_locked(&mut tx, run_id, &task.id, worker).await? {
                Claim::Nothing if answer_may_be_lost.load(Ordering::Relaxed) => {
                    claimed_before(&mut tx, run_id, worker).await?
                }
                claim => claim,
            }
        } else {
            tracing::error!(task_id = task.id, "task.unreadable");
            Claim::Nothing
        };
        queue::acknowledge(&mut tx, &task.id, worker).await?;
        answer_may_be_lost.store(true, Ordering::Relaxed);
        tx.commit().await?;
        Ok(claim)
    })
    .await
}

/// The run that an earlier try of this claim took, if it did.
async fn claimed_before(
    connection: &mut PgConnection,
    run_id: Uuid,
    worker: &str,
) -> Result<Claim, StoreError> {
    let row = sqlx::query_as!(
        ClaimedRow,
        r#"SELECT x.job_id, x.attempt, x.channel_id AS "channel_id!", x.upper_message_id AS "upper!", x.cursor_message_id,
                  x.message_count, x.repaired_count, x.warnings, x.bytes_read, e.start_at, e.options, e.request_id
             FROM export_channels x JOIN exports e USING (job_id)
            WHERE x.id = $1 AND x.lease_owner = $2 AND x.status = 'running'"#,
        run_id,
        worker
    )
    .fetch_optional(connection)
    .await?;
    row.map_or(Ok(Claim::Nothing), |row| row.won(run_id, worker))
}

async fn claim_locked(
    connection: &mut PgConnection,
    run_id: Uuid,
    task_id: &str,
    worker: &str,
) -> Result<Claim, StoreError> {
    let Some(export) = exports::lock_of(connection, run_id).await? else { return Ok(Claim::Nothing) };
    if export.cancel_requested {
        // A cancel ends pending runs itself; this one became pending after it.
        let ended = sqlx::query!(
            "UPDATE export_channels SET status = 'cancelled', finished_at = clock_timestamp(), task_id = NULL
              WHERE id = $1 AND task_id = $2 AND status = 'pending'",
            run_id,
            task_id
        )
        .execute(&mut *connection)
        .await?;
        if ended.rows_affected() == 1 {
            exports::settle(connection, export.job_id).await?;
        }
        return Ok(Claim::Nothing);
    }
    // A run without an end gets one at its first claim, so that all its attempts read the same window.
    let row = sqlx::query_as!(
        ClaimedRow,
        r#"UPDATE export_channels x
              SET status = 'running', attempt = x.attempt + 1, task_id = NULL, lease_owner = $3,
                  lease_expires_at = clock_timestamp() + make_interval(secs => $4),
                  started_at = coalesce(x.started_at, clock_timestamp()),
                  upper_message_id = coalesce(x.upper_message_id,
                    (trunc(extract(epoch FROM coalesce(e.end_at, clock_timestamp())) * 1000 - $5::bigint) * 4194304)::text)
             FROM exports e
            WHERE x.id = $1 AND x.task_id = $2 AND x.status = 'pending' AND e.job_id = x.job_id
           RETURNING x.job_id, x.attempt, x.channel_id AS "channel_id!", x.upper_message_id AS "upper!", x.cursor_message_id,
                     x.message_count, x.repaired_count, x.warnings, x.bytes_read, e.start_at, e.options, e.request_id"#,
        run_id,
        task_id,
        worker,
        LEASE.as_secs_f64(),
        DISCORD_EPOCH_MS,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(Claim::Nothing) };
    let noted = sqlx::query!(
        "INSERT INTO export_attempts (run_id, attempt, worker, cursor_before) VALUES ($1, $2, $3, $4)",
        run_id,
        row.attempt,
        worker,
        row.cursor_message_id
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("insert attempt", noted.rows_affected())?;
    exports::settle(connection, export.job_id).await?;
    row.won(run_id, worker)
}

/// What a claim reads of its run.
struct ClaimedRow {
    job_id: Uuid,
    attempt: i32,
    channel_id: String,
    upper: String,
    cursor_message_id: Option<String>,
    message_count: i64,
    repaired_count: i64,
    warnings: serde_json::Value,
    bytes_read: i64,
    start_at: Option<DateTime<Utc>>,
    options: serde_json::Value,
    request_id: Option<String>,
}

impl ClaimedRow {
    fn won(self, run_id: Uuid, worker: &str) -> Result<Claim, StoreError> {
        Ok(Claim::Won(Box::new(ClaimedRun {
            fence: Fence { run_id, attempt: self.attempt, worker: worker.to_owned() },
            job_id: self.job_id,
            channel_id: stored_id(&self.channel_id)?,
            start_at: self.start_at,
            upper: stored_id(&self.upper)?,
            cursor: self.cursor_message_id.as_deref().map(stored_id).transpose()?,
            message_count: self.message_count,
            repaired_count: self.repaired_count,
            counters: Counters::of(&self.warnings),
            bytes_read: self.bytes_read,
            options: serde_json::from_value(self.options)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            request_id: self.request_id,
        })))
    }
}

/// An id that a CHECK constraint guarantees to be digits; more than 64 bits is a row that nobody here wrote.
fn stored_id(text: &str) -> Result<Snowflake, StoreError> {
    text.parse().map_err(|error: crate::ids::NotASnowflake| sqlx::Error::Decode(error.into()).into())
}

/// What a heartbeat says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The lease is renewed.
    Renewed,
    /// A cancel is asked for: stop DCE, hand back.
    CancelRequested,
    /// In other hands just now: ask again.
    Busy,
    /// Another owner: kill the child, write nothing.
    Lost,
}

/// Renews the leases of all runs of a worker in one statement that waits for none of them: a run that is just ending
/// must not hold up its neighbours.
pub async fn heartbeat(
    pool: &PgPool,
    worker: &str,
    runs: &[(Uuid, i32)],
) -> Result<HashMap<Uuid, Beat>, StoreError> {
    let (ids, attempts): (Vec<Uuid>, Vec<i32>) = runs.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"WITH m AS (SELECT m.id, m.attempt FROM unnest($2::uuid[], $3::int[]) AS m (id, attempt)),
                mine AS (SELECT r.id FROM export_channels r JOIN m USING (id)
                          WHERE r.attempt = m.attempt AND r.lease_owner = $1 AND r.status = 'running'
                            FOR NO KEY UPDATE OF r SKIP LOCKED),
                beat AS (UPDATE export_channels r SET lease_expires_at = clock_timestamp() + make_interval(secs => $4)
                           FROM mine WHERE r.id = mine.id RETURNING r.id)
           SELECT m.id AS "id!",
                  beat.id IS NOT NULL AS "renewed!",
                  coalesce(e.cancel_requested_at IS NOT NULL, false) AS "cancel_requested!",
                  coalesce(r.attempt = m.attempt AND r.lease_owner = $1 AND r.status = 'running', false) AS "mine!"
             FROM m LEFT JOIN beat USING (id) LEFT JOIN export_channels r ON r.id = m.id
                    LEFT JOIN exports e ON e.job_id = r.job_id"#,
        worker,
        &ids,
        &attempts,
        LEASE.as_secs_f64(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let beat = match (row.renewed, row.cancel_requested, row.mine) {
                // Also of a run that is in other hands: on a slow server its batches lock it nearly always.
                (true, true, _) | (false, true, true) => Beat::CancelRequested,
                (true, false, _) => Beat::Renewed,
                (false, false, true) => Beat::Busy,
                (false, _, false) => Beat::Lost,
            };
            (row.id, beat)
        })
        .collect())
}

/// Notes the calling session as one that may write for this attempt, so that a rescue can end it first.
/// A transaction of its own, committed before the session's first write.
pub async fn note_backend(ingest: &mut PgConnection, fence: &Fence) -> Result<(), StoreError> {
    let noted = sqlx::query!(
        "UPDATE export_channels SET ingest_backends = ingest_backends ||
                (SELECT jsonb_build_array(jsonb_build_object('pid', s.pid, 'backend_start', s.backend_start,
                                                             'application_name', s.application_name))
                   FROM pg_stat_activity s WHERE s.pid = pg_backend_pid())
          WHERE id = $1 AND attempt = $2 AND lease_owner = $3 AND status = 'running'",
        fence.run_id,
        fence.attempt,
        fence.worker
    )
    .execute(ingest)
    .await?;
    if noted.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Lost) }
}

/// How far an attempt has come, written with the messages it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to here is committed; set with the counts, so that both always come from one state.
    pub cursor: Option<Snowflake>,
    /// The lowest id that this attempt knows.
    pub first: Option<Snowflake>,
    /// The highest id of the run so far.
    pub last: Option<Snowflake>,
    /// When the newest message was written.
    pub newest_at: Option<DateTime<Utc>>,
    /// Messages below the cursor, over all attempts: set.
    pub message_count: i64,
    /// Repaired ones among them: set.
    pub repaired_count: i64,
    /// What was noticed about them: set.
    pub counters: Counters,
    /// Bytes read over all attempts: set.
    pub bytes_read: i64,
    /// Rows that this transaction inserted: added.
    pub inserted: i64,
    /// Rows that it replaced: added.
    pub updated: i64,
}

/// The last statement before COMMIT of every batch. Fails when the fence does not hold, so that nothing is committed
/// by oversight. A sign of life: it renews the lease too.
pub async fn checkpoint(ingest: &mut PgConnection, fence: &Fence, at: &Checkpoint) -> Result<(), StoreError> {
    let text = |id: Option<Snowflake>| id.map(|id| id.to_string());
    let written = sqlx::query!(
        "UPDATE export_channels
            SET cursor_message_id = $4,
                first_message_id = least(first_message_id::numeric, $5::text::numeric)::text,
                last_message_id = coalesce($6, last_message_id),
                newest_at = greatest(newest_at, $7),
                message_count = $8, repaired_count = $9, bytes_read = $10, inserted_count = inserted_count + $11,
                updated_count = updated_count + $12, warnings = $13,
                lease_expires_at = clock_timestamp() + make_interval(secs => $14)
          WHERE id = $1 AND attempt = $2 AND lease_owner = $3 AND status = 'running'",
        fence.run_id,
        fence.attempt,
        fence.worker,
        text(at.cursor),
        text(at.first),
        text(at.last),
        at.newest_at,
        at.message_count,
        at.repaired_count,
        at.bytes_read,
        at.inserted,
        at.updated,
        at.counters.warnings(at.repaired_count.unsigned_abs()),
        LEASE.as_secs_f64(),
    )
    .execute(ingest)
    .await?;
    if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Lost) }
}

/// How often a worker renews its leases: four heartbeats fit into one lease.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
