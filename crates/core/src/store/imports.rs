//! Imports of files that users already have: an export whose runs are read by one process, from beginning to end.
//!
//! Nothing of them is queued or admitted. A run is made in the hands of its owner and leaves them once: `max_attempts` is
//! 0, so that no failure and no expired lease makes it pending (the table refuses that too). Heartbeat, checkpoint and
//! rescue are those of every run.

use serde_json::json;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::ends::{AttemptReport, Ending, end_attempt};
use super::exports::settle;
use super::runs::{ClaimedRun, Fence, RunOptions};
use super::{StoreError, exactly_one, repeated};
use crate::export::admission::LEASE;
use crate::export::failure::Failure;
use crate::export::state::{End, RunStatus};
use crate::export::warnings::Counters;
use crate::ids::Snowflake;

/// The only attempt at an import's run.
const ATTEMPT: i32 = 1;

/// A run to begin; made before, so that a repetition after a lost answer finds it.
#[derive(Debug, Clone)]
pub struct NewImport {
    /// The export that the runs of one import have in common; made with the first of them.
    pub job_id: Uuid,
    /// New.
    pub run_id: Uuid,
    /// Who reads the file: an id that no other process has.
    pub owner: String,
    /// The file, as it was named.
    pub source: String,
    /// The channel or thread that its head names.
    pub channel_id: Snowflake,
    /// What becomes of messages that are archived already; nothing else of it applies to files.
    pub options: RunOptions,
}

/// What came of it.
#[derive(Debug)]
pub enum Begun {
    /// The run is the owner's.
    Run(Box<ClaimedRun>),
    /// A cancel of the export is asked for: nothing is begun any more.
    Cancelled,
}

/// Begins a run, with the export if it is the first. An export whose next run is begun before the last one ends does not
/// end in between.
pub async fn begin(pool: &PgPool, new: &NewImport) -> Result<Begun, StoreError> {
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        if !exists(&mut tx, new).await? {
            insert_export(&mut tx, new).await?;
            if is_cancelled(&mut tx, new.job_id).await? {
                return Ok(Begun::Cancelled);
            }
            insert_run(&mut tx, new).await?;
            settle(&mut tx, new.job_id).await?;
            tx.commit().await?;
        }
        Ok(Begun::Run(Box::new(new.claimed())))
    })
    .await
}

impl NewImport {
    /// The run as its owner needs it. What a window or a filter would be is empty: a file holds what it holds.
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
            counters: Counters::default(),
            bytes_read: 0,
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

/// With the only channel as long as there is only one. Locks the row, whether it was there or not.
async fn insert_export(connection: &mut PgConnection, new: &NewImport) -> Result<(), StoreError> {
    let written = sqlx::query!(
        "INSERT INTO exports AS e (job_id, channel_id, format, options) VALUES ($1, $2, 'Json', $3)
         ON CONFLICT (job_id) DO UPDATE
            SET channel_id = CASE WHEN e.channel_id = excluded.channel_id THEN e.channel_id END",
        new.job_id,
        new.channel_id.to_string(),
        // Nobody knows whether the file was whole when it was exported, or since.
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
                                      lease_owner, lease_expires_at, started_at)
         VALUES ($1, $2, 'import', $3, $4, 'running', $5, 0, $6,
                 clock_timestamp() + make_interval(secs => $7), clock_timestamp())",
        new.run_id,
        new.job_id,
        new.source,
        new.channel_id.to_string(),
        ATTEMPT,
        new.owner,
        LEASE.as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("insert run", written.rows_affected())?;
    let noted = sqlx::query!(
        "INSERT INTO export_attempts (run_id, attempt, worker) VALUES ($1, $2, $3)",
        new.run_id,
        ATTEMPT,
        new.owner
    )
    .execute(connection)
    .await?;
    exactly_one("insert attempt", noted.rows_affected())
}

/// Every message of the file is committed.
pub async fn complete(pool: &PgPool, fence: &Fence) -> Result<RunStatus, StoreError> {
    let report = AttemptReport::default();
    let ending = Ending { end: End::Completed, failure: None, jitter: 0.0, report: &report };
    end_attempt(pool, fence, &ending, None).await
}

/// Something did not go in; what did is kept. While a cancel is asked for the run is cancelled.
pub async fn fail(pool: &PgPool, fence: &Fence, failure: &Failure) -> Result<RunStatus, StoreError> {
    let report = AttemptReport::default();
    let ending = Ending {
        end: End::Failed { retryable: false },
        failure: Some(failure),
        jitter: 0.0,
        report: &report,
    };
    end_attempt(pool, fence, &ending, None).await
}

/// What of a run's messages is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Read and committed.
    pub messages: i64,
    /// New ones among them.
    pub inserted: i64,
    /// Archived ones among them that were replaced.
    pub updated: i64,
    /// Those that are erased, and were left out.
    pub erased: u64,
}

/// As the run's row says.
pub async fn counts(pool: &PgPool, run_id: Uuid) -> Result<Counts, StoreError> {
    let row = sqlx::query!(
        "SELECT message_count, inserted_count, updated_count, warnings FROM export_channels WHERE id = $1",
        run_id
    )
    .fetch_one(pool)
    .await?;
    Ok(Counts {
        messages: row.message_count,
        inserted: row.inserted_count,
        updated: row.updated_count,
        erased: Counters::of(&row.warnings).erased,
    })
}

/// Whether the export is an import. Its runs are all of one kind, and kinds never change.
pub(crate) async fn is_import(connection: &mut PgConnection, job_id: Uuid) -> Result<bool, StoreError> {
    let is_import = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM export_channels WHERE job_id = $1 AND kind = 'import') AS "import!""#,
        job_id
    )
    .fetch_one(connection)
    .await?;
    Ok(is_import)
}
