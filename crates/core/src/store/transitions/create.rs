//! Creation of an export with its runs and their first tasks, in one transaction.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::admission::admit;
use crate::export::admission::AdmissionLimit;
use crate::export::rate_limit::{Quota, RateLimit};
use crate::export::state::{ExportStatus, RunStatus};
use crate::ids::Snowflake;
use crate::store::clients::idempotency_keys::{self, IdempotencyKey, StoredAnswer};
use crate::store::clients::rate_limits;
use crate::store::{StoreError, exactly_one, repeated};

/// An export to create; one run for each channel.
#[derive(Debug, Clone)]
pub struct NewExport {
    pub job_id: Uuid,
    /// Channels and threads, each once.
    pub channels: Vec<Snowflake>,
    /// Inclusive; `None`: from the beginning.
    pub start_at: Option<DateTime<Utc>>,
    /// Exclusive; `None`: up to the first claim.
    pub end_at: Option<DateTime<Utc>>,
    pub format: String,
    pub media: bool,
    /// `markdown`, `filter` and the other options of the request.
    pub options: serde_json::Value,
    pub request_id: Option<String>,
    /// Name of the API key.
    pub requested_by: Option<String>,
    /// Failures in a row without progress after which a run fails.
    pub max_attempts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedExport {
    pub job_id: Uuid,
    /// `pending`.
    pub status: ExportStatus,
    /// By the database's clock.
    pub created_at: DateTime<Utc>,
}

/// An export as a client submits it.
#[derive(Clone, Copy)]
pub struct Submission<'a> {
    pub new: &'a NewExport,
    /// The client, as limits and keys are stored under.
    pub caller: &'a str,
    pub rate_limit: Option<RateLimit>,
    pub key: Option<IdempotencyKey<'a>>,
    /// Makes the body of the answer, which is stored for repetitions.
    pub answer: &'a (dyn Fn(&CreatedExport) -> String + Send + Sync),
}

/// The outcome of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmissionOutcome {
    Created {
        created: CreatedExport,
        /// The client's remaining quota; `None`: it has no limit, or an earlier try of this transaction committed.
        quota: Option<Quota>,
    },
    /// The key was used before.
    Repeated(StoredAnswer),
    /// The client has used up its limit.
    RateLimited(Quota),
}

/// Creates an export without a key and a limit.
pub async fn create(
    pool: &PgPool,
    new: &NewExport,
    limit: AdmissionLimit,
) -> Result<CreatedExport, StoreError> {
    let submission = Submission { new, caller: "", rate_limit: None, key: None, answer: &|_| String::new() };
    match submit(pool, submission, limit).await? {
        SubmissionOutcome::Created { created, .. } => Ok(created),
        // Neither a key nor a limit.
        SubmissionOutcome::Repeated(_) | SubmissionOutcome::RateLimited(_) => {
            Err(StoreError::Unexpected { statement: "insert export", touched: 0 })
        }
    }
}

/// Creates an export for a client: export, runs, the tasks that may start now, the client's key and its use of the limit,
/// all in one transaction. A repetition under a key does not count against the limit.
pub async fn submit(
    pool: &PgPool,
    submission: Submission<'_>,
    limit: AdmissionLimit,
) -> Result<SubmissionOutcome, StoreError> {
    let Submission { new, caller, rate_limit, key, answer } = submission;
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        // A repetition after a lost answer finds its own export.
        if let Some(created) = find(&mut tx, new.job_id).await? {
            return Ok(SubmissionOutcome::Created { created, quota: None });
        }
        if let Some(key) = key
            && let Some(answered) = idempotency_keys::reserve(&mut tx, caller, key, new.job_id).await?
        {
            return Ok(SubmissionOutcome::Repeated(answered));
        }
        let mut quota = None;
        if let Some(rate_limit) = rate_limit {
            let (left, allowed) = rate_limits::consume(&mut tx, caller, rate_limit).await?;
            if !allowed {
                return Ok(SubmissionOutcome::RateLimited(left));
            }
            quota = Some(left);
        }
        insert(&mut tx, new).await?;
        let created = find(&mut tx, new.job_id)
            .await?
            .ok_or(StoreError::Unexpected { statement: "insert export", touched: 0 })?;
        if let Some(key) = key {
            idempotency_keys::store_answer(&mut tx, caller, key.key, &answer(&created)).await?;
        }
        admit(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(SubmissionOutcome::Created { created, quota })
    })
    .await
}

async fn find(connection: &mut PgConnection, job_id: Uuid) -> Result<Option<CreatedExport>, StoreError> {
    let row = sqlx::query!("SELECT created_at FROM exports WHERE job_id = $1", job_id)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| CreatedExport { job_id, status: RunStatus::Pending, created_at: row.created_at }))
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
