//! Exports: created with their runs and the first tasks in one transaction; settled from their runs.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::idempotency::{Answered, IdempotencyKey};
use super::{StoreError, admission, exactly_one, idempotency, rate_limits, repeated};
use crate::export::admission::AdmissionLimit;
use crate::export::rate_limit::{Quota, RateLimit};
use crate::export::state::{ExportStatus, RunStatus, Tally};
use crate::ids::Snowflake;

/// An export to create; one run for each channel.
#[derive(Debug, Clone)]
pub struct NewExport {
    /// Made by the caller.
    pub job_id: Uuid,
    /// What to export, without repetition.
    pub channels: Vec<Snowflake>,
    /// From this moment on; `None`: from the beginning.
    pub start_at: Option<DateTime<Utc>>,
    /// Up to this moment, exclusive; `None`: up to the first claim.
    pub end_at: Option<DateTime<Utc>>,
    /// `Json`.
    pub format: String,
    /// Whether attachments are downloaded.
    pub media: bool,
    /// `markdown`, `filter` and what else shapes the export.
    pub options: serde_json::Value,
    /// The request that created it.
    pub request_id: Option<String>,
    /// Name of the API key.
    pub requested_by: Option<String>,
    /// Failures in a row without progress after which a run is given up.
    pub max_attempts: u32,
}

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub job_id: Uuid,
    /// `pending`.
    pub status: ExportStatus,
    /// The database's time.
    pub created_at: DateTime<Utc>,
}

/// An export as a client submits it.
#[derive(Clone, Copy)]
pub struct Submission<'a> {
    /// What to create.
    pub new: &'a NewExport,
    /// Who submits it: what its limit and its keys are kept under.
    pub caller: &'a str,
    /// How many it may create.
    pub rate_limit: Option<RateLimit>,
    /// Under which key it may be repeated.
    pub key: Option<IdempotencyKey<'a>>,
    /// What is answered, and kept for repetitions.
    pub answer: &'a (dyn Fn(&Created) -> String + Send + Sync),
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// It was created.
    Created {
        /// The export.
        created: Created,
        /// What is left to the client; `None`: it has no limit, or an earlier try had taken it.
        quota: Option<Quota>,
    },
    /// Something was created under this key before.
    Answered(Answered),
    /// The client has created as many as it may.
    TooMany(Quota),
}

/// Writes export, runs and the tasks that may start now, in one transaction.
pub async fn create(pool: &PgPool, new: &NewExport, limit: AdmissionLimit) -> Result<Created, StoreError> {
    let submission = Submission { new, caller: "", rate_limit: None, key: None, answer: &|_| String::new() };
    match submit(pool, submission, limit).await? {
        Submitted::Created { created, .. } => Ok(created),
        // Neither a key nor a limit.
        Submitted::Answered(_) | Submitted::TooMany(_) => {
            Err(StoreError::Unexpected { statement: "insert export", touched: 0 })
        }
    }
}

/// The same for a client, with its key and its limit in the same transaction. A repetition under a key uses nothing of
/// the limit.
pub async fn submit(
    pool: &PgPool,
    submission: Submission<'_>,
    limit: AdmissionLimit,
) -> Result<Submitted, StoreError> {
    let Submission { new, caller, rate_limit, key, answer } = submission;
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        // A repetition after a lost answer finds what it wrote.
        if let Some(created) = created(&mut tx, new.job_id).await? {
            return Ok(Submitted::Created { created, quota: None });
        }
        if let Some(key) = key
            && let Some(answered) = idempotency::take(&mut tx, caller, key, new.job_id).await?
        {
            return Ok(Submitted::Answered(answered));
        }
        let mut quota = None;
        if let Some(rate_limit) = rate_limit {
            let (left, taken) = rate_limits::take(&mut tx, caller, rate_limit).await?;
            if !taken {
                return Ok(Submitted::TooMany(left));
            }
            quota = Some(left);
        }
        insert(&mut tx, new).await?;
        let created = created(&mut tx, new.job_id)
            .await?
            .ok_or(StoreError::Unexpected { statement: "insert export", touched: 0 })?;
        if let Some(key) = key {
            idempotency::answered(&mut tx, caller, key.key, &answer(&created)).await?;
        }
        admission::admit(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(Submitted::Created { created, quota })
    })
    .await
}

async fn created(connection: &mut PgConnection, job_id: Uuid) -> Result<Option<Created>, StoreError> {
    let row = sqlx::query!("SELECT created_at FROM exports WHERE job_id = $1", job_id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| Created { job_id, status: RunStatus::Pending, created_at: row.created_at }))
}

async fn insert(connection: &mut PgConnection, new: &NewExport) -> Result<(), StoreError> {
    let channels: Vec<String> = new.channels.iter().map(Snowflake::to_string).collect();
    let only_channel = if let [only] = channels.as_slice() { Some(only.as_str()) } else { None };
    let inserted = sqlx::query!(
        "INSERT INTO exports (job_id, channel_id, start_at, end_at, format, media, options, request_id, requested_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.job_id,
        only_channel,
        new.start_at,
        new.end_at,
        new.format,
        new.media,
        new.options,
        new.request_id,
        new.requested_by,
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("insert export", inserted.rows_affected())?;

    let ids: Vec<Uuid> = channels.iter().map(|_| Uuid::now_v7()).collect();
    let inserted = sqlx::query!(
        "INSERT INTO export_channels (id, job_id, channel_id, max_attempts)
         SELECT r.id, $1, r.channel_id, $2 FROM unnest($3::uuid[], $4::text[]) AS r (id, channel_id)",
        new.job_id,
        i32::try_from(new.max_attempts).unwrap_or(i32::MAX),
        &ids,
        &channels,
    )
    .execute(connection)
    .await?;
    if inserted.rows_affected() != channels.len() as u64 {
        return Err(StoreError::Unexpected { statement: "insert runs", touched: inserted.rows_affected() });
    }
    Ok(())
}

/// Locks the export of a run: the first statement of every transition. Whether a cancel is asked for;
/// `None`: no such run.
pub(crate) async fn lock_of(
    connection: &mut PgConnection,
    run_id: Uuid,
) -> Result<Option<LockedExport>, StoreError> {
    // job_id never changes: reading it needs no lock.
    let row = sqlx::query_as!(
        LockedExport,
        r#"SELECT e.job_id, e.cancel_requested_at IS NOT NULL AS "cancel_requested!" FROM exports e
            WHERE e.job_id = (SELECT r.job_id FROM export_channels r WHERE r.id = $1) FOR NO KEY UPDATE"#,
        run_id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// An exports row that this transaction has locked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockedExport {
    pub(crate) job_id: Uuid,
    pub(crate) cancel_requested: bool,
}

/// Writes what follows from the runs. The caller holds the exports row and has written its run.
pub(crate) async fn settle(connection: &mut PgConnection, job_id: Uuid) -> Result<ExportStatus, StoreError> {
    let runs = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE status IN ('pending', 'running')) AS "open!",
                  count(*) FILTER (WHERE status = 'failed') AS "failed!",
                  count(*) FILTER (WHERE status = 'cancelled') AS "cancelled!",
                  coalesce(max(attempt), 0) > 0 AS "any_claimed!",
                  coalesce(sum(message_count), 0)::bigint AS "message_count!",
                  coalesce(sum(inserted_count), 0)::bigint AS "inserted_count!",
                  coalesce(sum(updated_count), 0)::bigint AS "updated_count!",
                  (array_agg(error || jsonb_build_object('channel_id', channel_id)
                                   || CASE kind WHEN 'import' THEN jsonb_build_object('source', source) ELSE '{}' END ORDER BY finished_at, id)
                     FILTER (WHERE status = 'failed'))[1] AS first_error
             FROM export_channels WHERE job_id = $1"#,
        job_id
    )
    .fetch_one(&mut *connection)
    .await?;
    let status = Tally {
        open: runs.open.unsigned_abs(),
        failed: runs.failed.unsigned_abs(),
        cancelled: runs.cancelled.unsigned_abs(),
        any_claimed: runs.any_claimed,
    }
    .status();
    let error = runs.first_error.map(|mut error| {
        error["failed_runs"] = runs.failed.into();
        error
    });
    let settled = sqlx::query!(
        "UPDATE exports e
            SET status = $2, message_count = $3, inserted_count = $4, updated_count = $5, error = $6, version = version + 1,
                warnings = (SELECT coalesce(jsonb_agg(w.warning || jsonb_build_object('channel_id', r.channel_id) ORDER BY r.id), '[]')
                              FROM export_channels r, jsonb_array_elements(r.warnings) AS w (warning) WHERE r.job_id = $1),
                started_at = CASE WHEN $8 THEN coalesce(started_at, clock_timestamp()) END,
                finished_at = CASE WHEN $7 THEN coalesce(finished_at, clock_timestamp()) END,
                duration_ms = CASE WHEN $7 THEN (extract(epoch FROM coalesce(finished_at, clock_timestamp()) - started_at) * 1000)::bigint END
          WHERE job_id = $1",
        job_id,
        status.as_str(),
        runs.message_count,
        runs.inserted_count,
        runs.updated_count,
        error,
        status.is_final(),
        runs.any_claimed,
    )
    .execute(connection)
    .await?;
    exactly_one("settle export", settled.rows_affected())?;
    Ok(status)
}
