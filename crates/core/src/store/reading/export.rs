//! One export with its runs and their last attempts. Counts and warnings are gathered from the runs when it is read.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::blockers::{Blocker, ServiceState};
use crate::export::phase::Phase;
use crate::store::{StoreError, repeated};

/// Number of a run's last attempts that are read: a long channel may have hundreds.
const LAST_ATTEMPTS: i32 = 10;
/// Characters that are read from the end of a failed attempt's stderr.
const STDERR_TAIL_CHARS: i32 = 2000;

#[derive(Debug, Clone)]
pub struct ExportWithRuns {
    pub row: ExportRow,
    pub runs: Vec<RunWithAttempts>,
    pub blocker: Option<Blocker>,
}

#[derive(Debug, Clone)]
pub struct RunWithAttempts {
    pub row: RunRow,
    pub attempts: Vec<Attempt>,
}

/// An export; field names are column names.
#[derive(Debug, Clone)]
pub struct ExportRow {
    pub job_id: Uuid,
    pub status: String,
    pub channel_id: Option<String>,
    pub start_at: Option<DateTime<Utc>>,
    pub end_at: Option<DateTime<Utc>>,
    pub format: String,
    pub media: bool,
    pub options: serde_json::Value,
    pub duration_ms: Option<i64>,
    pub error: Option<serde_json::Value>,
    pub verified_at: Option<DateTime<Utc>>,
    pub request_id: Option<String>,
    pub requested_by: Option<String>,
    pub version: i64,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether a pending run is due.
    pub any_due: bool,
    /// The database's time of the read.
    pub read_at: DateTime<Utc>,
}

/// One channel of an export; field names are column names.
#[derive(Debug, Clone)]
pub struct RunRow {
    pub id: Uuid,
    pub kind: String,
    pub source: String,
    pub channel_id: Option<String>,
    pub status: String,
    /// `None` unless the run is running.
    pub phase: Option<String>,
    pub attempt: i32,
    pub failures: i32,
    pub max_attempts: i32,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub message_count: i64,
    pub inserted_count: i64,
    pub updated_count: i64,
    pub repaired_count: i64,
    pub filtered_count: i64,
    pub bytes_read: i64,
    pub first_message_id: Option<String>,
    pub last_message_id: Option<String>,
    pub newest_at: Option<DateTime<Utc>>,
    pub verified_at: Option<DateTime<Utc>>,
    pub verified_newest_id: Option<String>,
    pub discord_requests: i64,
    pub error: Option<serde_json::Value>,
    pub warnings: serde_json::Value,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Total duration of all attempts so far; `None` unless the run is running.
    pub running_seconds: Option<f64>,
}

/// One try at a run.
#[derive(Debug, Clone)]
pub struct Attempt {
    run_id: Uuid,
    pub attempt: i32,
    pub worker: String,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub outcome: Option<String>,
    pub error_kind: Option<String>,
    pub error_message: Option<String>,
    pub dce_version: Option<String>,
    pub exit_code: Option<i32>,
    pub stderr_tail: Option<String>,
}

/// Sums a count over the runs.
pub fn total(runs: &[RunWithAttempts], count: fn(&RunRow) -> i64) -> i64 {
    runs.iter().map(|run| count(&run.row)).sum()
}

/// The phase of the least advanced running run.
pub fn phase(runs: &[RunWithAttempts]) -> Option<&str> {
    let phases = runs.iter().filter_map(|run| run.row.phase.as_deref());
    // A phase of a newer program comes after the ones known here.
    phases.min_by_key(|phase| {
        let known = Phase::parse(phase);
        (known.is_none(), known)
    })
}

/// The warnings of the runs, each with its channel.
pub fn warnings(runs: &[RunWithAttempts]) -> serde_json::Value {
    let warnings = runs.iter().flat_map(|RunWithAttempts { row, .. }| {
        row.warnings.as_array().into_iter().flatten().map(|warning| {
            let mut warning = warning.clone();
            if let Some(fields) = warning.as_object_mut() {
                fields.insert("channel_id".to_owned(), row.channel_id.as_deref().into());
            }
            warning
        })
    });
    warnings.collect()
}

/// Finds an export with its runs, in one snapshot, and the blocker of its due runs.
pub async fn find(pool: &PgPool, job_id: Uuid) -> Result<Option<ExportWithRuns>, StoreError> {
    // On a busy machine the session's idle limit may end the transaction between two statements.
    repeated(move || async move {
        let Some(mut export) = read(pool, job_id).await? else { return Ok(None) };
        if export.row.any_due {
            export.blocker = ServiceState::read(pool).await?.blocker();
        }
        Ok(Some(export))
    })
    .await
}

async fn read(pool: &PgPool, job_id: Uuid) -> Result<Option<ExportWithRuns>, StoreError> {
    let mut tx = pool.begin().await?;
    // Export and runs are two statements: without one snapshot a run could end between them.
    sqlx::query!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *tx).await?;
    let Some(row) = sqlx::query_as!(
        ExportRow,
        r#"SELECT job_id, status, channel_id, start_at, end_at, format, media, options, duration_ms, error, verified_at,
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
    Ok(Some(ExportWithRuns { row, runs, blocker: None }))
}

async fn runs(connection: &mut PgConnection, job_id: Uuid) -> Result<Vec<RunWithAttempts>, StoreError> {
    let rows = sqlx::query_as!(
        RunRow,
        r#"SELECT id, kind, source, channel_id, status, CASE WHEN status = 'running' THEN phase END AS phase,
                  attempt, failures, max_attempts,
                  CASE WHEN status = 'pending' AND attempt > 0 THEN run_at END AS next_attempt_at,
                  message_count, inserted_count, updated_count, repaired_count, filtered_count, bytes_read,
                  first_message_id, last_message_id, newest_at, verified_at, verified_newest_id, discord_requests, error, warnings, created_at, started_at, finished_at,
                  CASE WHEN status = 'running' THEN (
                    SELECT extract(epoch FROM sum(coalesce(a.ended_at, clock_timestamp()) - a.started_at))::float8
                      FROM export_attempts a WHERE a.run_id = r.id) END AS running_seconds
             FROM export_channels r WHERE job_id = $1 ORDER BY id"#,
        job_id
    )
    .fetch_all(&mut *connection)
    .await?;
    let attempts = sqlx::query_as!(
        Attempt,
        r#"SELECT a.run_id, a.attempt, a.worker, a.started_at, a.ended_at, a.outcome, a.error_kind, a.error_message,
                  a.dce_version, a.exit_code,
                  CASE WHEN a.outcome = 'failed' THEN right(a.stderr_tail, $3) END AS stderr_tail
             FROM export_channels r JOIN export_attempts a ON a.run_id = r.id AND a.attempt > r.attempt - $2
            WHERE r.job_id = $1 ORDER BY a.run_id, a.attempt"#,
        job_id,
        LAST_ATTEMPTS,
        STDERR_TAIL_CHARS,
    )
    .fetch_all(connection)
    .await?;
    let mut attempts = attempts.into_iter().peekable();
    let runs = rows.into_iter().map(|row| RunWithAttempts {
        // Both lists are ordered by the run's id.
        attempts: std::iter::from_fn(|| attempts.next_if(|attempt| attempt.run_id == row.id)).collect(),
        row,
    });
    Ok(runs.collect())
}
