//! Imports of files that users already have: an export whose runs one process reads, from beginning to end.
//!
//! Imports are neither queued nor admitted. A run is created as its owner's and ends once: `max_attempts` is 0, so that
//! no failure and no expired lease makes it pending (a constraint forbids that too). Heartbeat, checkpoint and rescue are
//! those of any run.

use serde_json::json;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::transitions::{
    AttemptReport, ClaimedRun, Completion, Ending, Fence, RunOptions, finish_attempt, settle_export,
};
use super::{StoreError, exactly_one, repeated};
use crate::export::admission::LEASE;
use crate::export::failure::Failure;
use crate::export::phase::Phase;
use crate::export::state::RunStatus;
use crate::export::warnings::Counters;
use crate::ids::Snowflake;

/// The number of the only attempt.
const ATTEMPT: i32 = 1;

/// A run to begin. The caller makes its id, so that a repetition after a lost answer finds it.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The export of all runs of one import, created with the first of them.
    pub job_id: Uuid,
    pub run_id: Uuid,
    /// The process that reads the file; no other process has this id.
    pub owner: String,
    /// The file, as the user named it.
    pub source: String,
    /// The channel or thread that its head names.
    pub channel_id: Snowflake,
    /// Only `on_conflict` and `keep_versions` apply to files.
    pub options: RunOptions,
}

/// The outcome of a begin.
#[derive(Debug)]
pub enum Begun {
    Run(Box<ClaimedRun>),
    /// A cancel of the export was requested: no further run begins.
    Cancelled,
}

/// Begins a run, and the export if it is the first one. An export does not end if its next run begins before the last one
/// ends.
pub async fn begin(pool: &PgPool, new: &NewImport) -> Result<Begun, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        if !exists(&mut tx, new).await? {
            insert_export(&mut tx, new).await?;
            if is_cancelled(&mut tx, new.job_id).await? {
                return Ok(Begun::Cancelled);
            }
            insert_run(&mut tx, new).await?;
            settle_export(&mut tx, new.job_id).await?;
            tx.commit().await?;
        }
        Ok(Begun::Run(Box::new(new.claimed())))
    })
    .await
}

impl NewImport {
    /// The run for its owner, without a window or a filter: an import reads the whole file.
    fn claimed(&self) -> ClaimedRun {
        ClaimedRun {
            fence: Fence { run_id: self.run_id, attempt: ATTEMPT, worker: self.owner.clone() },
            job_id: self.job_id,
            channel_id: self.channel_id,
            start_at: None,
            upper: Snowflake::new(u64::MAX),
            cursor: None,
            message_count: 0,
            repaired_count: 0,
            filtered_count: 0,
            counters: Counters::default(),
            bytes_read: 0,
            through: None,
            reread_from: None,
            options: self.options.clone(),
            request_id: None,
        }
    }
}

async fn exists(connection: &mut PgConnection, new: &NewImport) -> Result<bool, StoreError> {
    let there = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM export_channels WHERE id = $1) AS "there!""#,
        new.run_id
    )
    .fetch_one(connection)
    .await?;
    Ok(there)
}

/// Inserts the export, whose `channel_id` is set while it has only one channel. Locks the row even if it exists already.
async fn insert_export(connection: &mut PgConnection, new: &NewImport) -> Result<(), StoreError> {
    let written = sqlx::query!(
        "INSERT INTO exports AS e (job_id, channel_id, format, options) VALUES ($1, $2, 'Json', $3)
         ON CONFLICT (job_id) DO UPDATE
            SET channel_id = CASE WHEN e.channel_id = excluded.channel_id THEN e.channel_id END",
        new.job_id,
        new.channel_id.to_string(),
        // Nobody knows whether the file was complete when it was exported, or still is.
        json!({
            "import": true,
            "source_complete": "unknown",
            "on_conflict": new.options.on_conflict,
            "keep_versions": new.options.keep_versions,
        }),
    )
    .execute(connection)
    .await?;
    exactly_one("insert import", written.rows_affected())
}

async fn is_cancelled(connection: &mut PgConnection, job_id: Uuid) -> Result<bool, StoreError> {
    let cancelled = sqlx::query_scalar!(
        r#"SELECT cancel_requested_at IS NOT NULL AS "cancelled!" FROM exports WHERE job_id = $1"#,
        job_id
    )
    .fetch_one(connection)
    .await?;
    Ok(cancelled)
}

async fn insert_run(connection: &mut PgConnection, new: &NewImport) -> Result<(), StoreError> {
    let written = sqlx::query!(
        "INSERT INTO export_channels (id, job_id, kind, source, channel_id, status, attempt, max_attempts,
                                      phase, lease_owner, lease_expires_at, started_at)
         VALUES ($1, $2, 'import', $3, $4, 'running', $5, 0, $6, $7,
                 clock_timestamp() + make_interval(secs => $8), clock_timestamp())",
        new.run_id,
        new.job_id,
        new.source,
        new.channel_id.to_string(),
        ATTEMPT,
        Phase::Reading.as_str(),
        new.owner,
        LEASE.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("insert run", written.rows_affected())?;
    let inserted = sqlx::query!(
        "INSERT INTO export_attempts (run_id, attempt, worker) VALUES ($1, $2, $3)",
        new.run_id,
        ATTEMPT,
        new.owner
    )
    .execute(connection)
    .await?;
    exactly_one("insert attempt", inserted.rows_affected())
}

/// Completes a run whose messages are all committed. Nobody can prove that a file is all that its channel had.
pub async fn complete(pool: &PgPool, fence: &Fence) -> Result<RunStatus, StoreError> {
    let completion = Completion::default();
    finish_attempt(pool, fence, Ending::Completed(&completion), &AttemptReport::default(), None).await
}

/// Fails a run; its committed messages stay. Cancels it if a cancel is requested.
pub async fn fail(pool: &PgPool, fence: &Fence, failure: &Failure) -> Result<RunStatus, StoreError> {
    let ending = Ending::Failed { failure, jitter: 0.0 };
    finish_attempt(pool, fence, ending, &AttemptReport::default(), None).await
}

/// Counts of a run's stored messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Read and committed.
    pub messages: i64,
    pub inserted: i64,
    /// Archived messages that were replaced.
    pub updated: i64,
    /// Messages skipped because they are erased.
    pub erased: u64,
}

/// Reads the counts of a run.
pub async fn counts(pool: &PgPool, run_id: Uuid) -> Result<ImportCounts, StoreError> {
    let row = sqlx::query!(
        "SELECT message_count, inserted_count, updated_count, warnings FROM export_channels WHERE id = $1",
        run_id
    )
    .fetch_one(pool)
    .await?;
    Ok(ImportCounts {
        messages: row.message_count,
        inserted: row.inserted_count,
        updated: row.updated_count,
        erased: Counters::from_warnings(&row.warnings).erased,
    })
}
