//! Exports as clients see them. Counts and warnings of an export that is going on are gathered from its runs at read.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::{PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use super::progress::Progress;
use super::waiting::{Obstacle, Surroundings};
use super::{StoreError, repeated};

/// Attempts of a run that are shown, the last ones: a long channel may have hundreds.
const ATTEMPTS_SHOWN: i32 = 10;
/// Characters from the end of stderr that are shown of an attempt that failed.
const STDERR_SHOWN: i32 = 2000;

/// An export with its runs; field names are column names.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportWithRuns)]
pub struct ExportView {
    /// Its id.
    pub job_id: Uuid,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`: derived from the runs.
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
    #[schema(value_type = Object)]
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
    /// How far it has come, and how fast.
    pub progress: Progress,
    /// Why none of its runs that are due starts, if somebody has to do something about it; null while they wait for their
    /// turn, and when none is due.
    pub waiting: Option<Obstacle>,
    /// From the first claim to the end; null until then.
    pub duration_ms: Option<i64>,
    /// Of the first failed run: `code`, `message` (what happened), `action` (what to do), `channel_id`.
    #[schema(value_type = Option<Object>)]
    pub error: Option<serde_json::Value>,
    /// Those of its runs, each with its `channel_id`.
    #[schema(value_type = Vec<Object>)]
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
    /// The database's time when it was read.
    #[serde(skip)]
    pub read_at: DateTime<Utc>,
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
    /// The last failure: `code`, `message` (what happened), `action` (what to do), `retryable`.
    #[schema(value_type = Option<Object>)]
    pub error: Option<serde_json::Value>,
    /// What deserves a look.
    #[schema(value_type = Vec<Object>)]
    pub warnings: serde_json::Value,
    /// With its export.
    pub created_at: DateTime<Utc>,
    /// First claim.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The last ten tries, the oldest of them first.
    pub attempts: Vec<AttemptView>,
    /// Seconds that all its attempts took so far; `None` while no worker has it.
    #[serde(skip)]
    pub running_seconds: Option<f64>,
}

/// One try at a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    #[serde(skip)]
    run_id: Uuid,
    /// Its number, from 1 on.
    pub attempt: i32,
    /// The worker's id, new at every start of its process.
    pub worker: String,
    /// The claim.
    pub started_at: DateTime<Utc>,
    /// Null while it goes on.
    pub ended_at: Option<DateTime<Utc>>,
    /// `completed`, `failed`, `handed_back` (stopped in order, for another worker or a cancel) or `lease_expired`.
    pub outcome: Option<String>,
    /// Why it did not complete: a code of the page about errors.
    pub error_kind: Option<String>,
    /// One line about it, in the words of whoever met it.
    pub error_message: Option<String>,
    /// Which DiscordChatExporter ran.
    pub dce_version: Option<String>,
    /// Its exit code; null where a signal ended it or it never ran.
    pub exit_code: Option<i32>,
    /// The end of what it said on stderr, if it failed; without the token.
    pub stderr_tail: Option<String>,
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
                                                          AND r.run_at <= clock_timestamp()) AS "any_due!",
                  clock_timestamp() AS "read_at!"
             FROM exports WHERE job_id = $1"#,
        job_id
    )
    .fetch_optional(&mut *tx)
    .await?
    else {
        return Ok(None);
    };
    let runs = runs(&mut tx, job_id).await?;
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
        progress: Progress::of(&runs),
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
        read_at: export.read_at,
    };
    Ok(Some(Snapshot { export: view, any_due: export.any_due }))
}

async fn runs(connection: &mut PgConnection, job_id: Uuid) -> Result<Vec<RunView>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, kind, source, channel_id, status, attempt, failures, max_attempts,
                  CASE WHEN status = 'pending' AND attempt > 0 THEN run_at END AS next_attempt_at,
                  message_count, inserted_count, updated_count, repaired_count, bytes_read,
                  first_message_id, last_message_id, newest_at, error, warnings, created_at, started_at, finished_at,
                  CASE WHEN status = 'running' THEN (
                    SELECT extract(epoch FROM sum(coalesce(a.ended_at, clock_timestamp()) - a.started_at))::float8
                      FROM export_attempts a WHERE a.run_id = r.id) END AS running_seconds
             FROM export_channels r WHERE job_id = $1 ORDER BY id"#,
        job_id
    )
    .fetch_all(&mut *connection)
    .await?;
    let attempts = sqlx::query_as!(
        AttemptView,
        r#"SELECT a.run_id, a.attempt, a.worker, a.started_at, a.ended_at, a.outcome, a.error_kind, a.error_message,
                  a.dce_version, a.exit_code,
                  CASE WHEN a.outcome = 'failed' THEN right(a.stderr_tail, $3) END AS stderr_tail
             FROM export_channels r JOIN export_attempts a ON a.run_id = r.id AND a.attempt > r.attempt - $2
            WHERE r.job_id = $1 ORDER BY a.run_id, a.attempt"#,
        job_id,
        ATTEMPTS_SHOWN,
        STDERR_SHOWN,
    )
    .fetch_all(connection)
    .await?;
    let mut attempts = attempts.into_iter().peekable();
    let runs = rows.into_iter().map(|row| RunView {
        // Both are in the order of the runs' ids.
        attempts: std::iter::from_fn(|| attempts.next_if(|attempt| attempt.run_id == row.id)).collect(),
        id: row.id,
        kind: row.kind,
        source: row.source,
        channel_id: row.channel_id,
        status: row.status,
        attempt: row.attempt,
        failures: row.failures,
        max_attempts: row.max_attempts,
        next_attempt_at: row.next_attempt_at,
        message_count: row.message_count,
        inserted_count: row.inserted_count,
        updated_count: row.updated_count,
        repaired_count: row.repaired_count,
        bytes_read: row.bytes_read,
        first_message_id: row.first_message_id,
        last_message_id: row.last_message_id,
        newest_at: row.newest_at,
        error: row.error,
        warnings: row.warnings,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        running_seconds: row.running_seconds,
    });
    Ok(runs.collect())
}
