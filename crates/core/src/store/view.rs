//! Exports as clients see them. Counts and warnings of an export that is going on are gathered from its runs at read.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::waiting::{Obstacle, Surroundings};
use super::{StoreError, repeated};

/// An export with its runs; field names are column names.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView {
    /// Its id.
    pub job_id: Uuid,
    /// Derived from the runs.
    pub status: String,
    /// The only channel of a single-channel export.
    pub channel_id: Option<String>,
    /// From this moment on.
    pub start_at: Option<DateTime<Utc>>,
    /// Up to this moment, exclusive.
    pub end_at: Option<DateTime<Utc>>,
    /// `Json`.
    pub format: String,
    /// Whether attachments are downloaded.
    pub media: bool,
    /// What else was asked for.
    pub options: serde_json::Value,
    /// Messages read and committed.
    pub message_count: i64,
    /// New ones among them.
    pub inserted_count: i64,
    /// Changed ones among them.
    pub updated_count: i64,
    /// Messages with characters that Postgres cannot hold, replaced by U+FFFD.
    pub repaired_count: i64,
    /// Bytes of DCE's output read so far.
    pub bytes_read: i64,
    /// Why none of its runs that are due starts, if somebody has to do something about it; null while they wait for their
    /// turn, and when none is due.
    pub waiting: Option<Obstacle>,
    /// From the first claim to the end; null until then.
    pub duration_ms: Option<i64>,
    /// Of the first failed run: `code`, `message`, `action`, `channel_id`.
    pub error: Option<serde_json::Value>,
    /// Those of its runs, each with its `channel_id`.
    pub warnings: serde_json::Value,
    /// The request that created it.
    pub request_id: Option<String>,
    /// Name of the API key.
    pub requested_by: Option<String>,
    /// Rises with every change of state.
    pub version: i64,
    /// When a cancel was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// First claim of any run.
    pub started_at: Option<DateTime<Utc>>,
    /// When the last run ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// One for each channel.
    pub runs: Vec<RunView>,
}

/// One channel of an export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Run)]
pub struct RunView {
    /// Its id.
    pub id: Uuid,
    /// `channel`, `discovery` or `import`.
    pub kind: String,
    /// The file that an import reads, as it was named; for an archive's member `archive.zip!/member`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The channel or thread.
    pub channel_id: Option<String>,
    /// Where it stands.
    pub status: String,
    /// Tries so far.
    pub attempt: i32,
    /// Failures in a row without progress.
    pub failures: i32,
    /// At so many it is given up; 0 for an import, which is tried once.
    pub max_attempts: i32,
    /// While it waits after a failure: not before.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Messages read and committed.
    pub message_count: i64,
    /// New ones among them.
    pub inserted_count: i64,
    /// Changed ones among them.
    pub updated_count: i64,
    /// Repaired ones among them.
    pub repaired_count: i64,
    /// Bytes of DCE's output read so far.
    pub bytes_read: i64,
    /// The oldest message read.
    pub first_message_id: Option<String>,
    /// The newest message read.
    pub last_message_id: Option<String>,
    /// When that one was written.
    pub newest_at: Option<DateTime<Utc>>,
    /// The last failure.
    pub error: Option<serde_json::Value>,
    /// What deserves a look.
    pub warnings: serde_json::Value,
    /// With its export.
    pub created_at: DateTime<Utc>,
    /// First claim.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl RunView {
    /// Its warnings with the channel, as the export shows them.
    fn named_warnings(&self) -> impl Iterator<Item = serde_json::Value> {
        self.warnings.as_array().into_iter().flatten().map(|warning| {
            let mut warning = warning.clone();
            if let Some(fields) = warning.as_object_mut() {
                fields.insert("channel_id".to_owned(), self.channel_id.as_deref().into());
            }
            warning
        })
    }
}

/// One export with its runs, in one snapshot, and what keeps them waiting.
pub async fn find(pool: &PgPool, job_id: Uuid) -> Result<Option<ExportView>, StoreError> {
    // On a busy machine the session's idle limit may end the transaction between two statements.
    repeated(move || async move {
        let Some(Snapshot { mut export, any_due }) = read(pool, job_id).await? else { return Ok(None) };
        if any_due {
            export.waiting = Surroundings::look(pool).await?.obstacle();
        }
        Ok(Some(export))
    })
    .await
}

/// What one transaction sees.
struct Snapshot {
    export: ExportView,
    /// Whether a pending run's time has come.
    any_due: bool,
}

async fn read(pool: &PgPool, job_id: Uuid) -> Result<Option<Snapshot>, StoreError> {
    let mut tx = pool.begin().await?;
    // Export and runs are two statements: without one snapshot a run could end between them.
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *tx).await?;
    let Some(export) = sqlx::query!(
        r#"SELECT job_id, status, channel_id, start_at, end_at, format, media, options, duration_ms, error,
                  request_id, requested_by, version, cancel_requested_at, created_at, started_at, finished_at,
                  EXISTS (SELECT FROM export_channels r WHERE r.job_id = exports.job_id AND r.status = 'pending'
                                                          AND r.run_at <= clock_timestamp()) AS "any_due!"
             FROM exports WHERE job_id = $1"#,
        job_id
    )
    .fetch_optional(&mut *tx)
    .await?
    else {
        return Ok(None);
    };
    let runs = sqlx::query_as!(
        RunView,
        r#"SELECT id, kind, source, channel_id, status, attempt, failures, max_attempts,
                  CASE WHEN status = 'pending' AND attempt > 0 THEN run_at END AS next_attempt_at,
                  message_count, inserted_count, updated_count, repaired_count, bytes_read,
                  first_message_id, last_message_id, newest_at, error, warnings, created_at, started_at, finished_at
             FROM export_channels WHERE job_id = $1 ORDER BY id"#,
        job_id
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let sum = |count: fn(&RunView) -> i64| runs.iter().map(count).sum();
    let view = ExportView {
        job_id: export.job_id,
        status: export.status,
        channel_id: export.channel_id,
        start_at: export.start_at,
        end_at: export.end_at,
        format: export.format,
        media: export.media,
        options: export.options,
        message_count: sum(|run| run.message_count),
        inserted_count: sum(|run| run.inserted_count),
        updated_count: sum(|run| run.updated_count),
        repaired_count: sum(|run| run.repaired_count),
        bytes_read: sum(|run| run.bytes_read),
        waiting: None,
        duration_ms: export.duration_ms,
        error: export.error,
        warnings: runs.iter().flat_map(RunView::named_warnings).collect(),
        request_id: export.request_id,
        requested_by: export.requested_by,
        version: export.version,
        cancel_requested_at: export.cancel_requested_at,
        created_at: export.created_at,
        started_at: export.started_at,
        finished_at: export.finished_at,
        runs,
    };
    Ok(Some(Snapshot { export: view, any_due: export.any_due }))
}
