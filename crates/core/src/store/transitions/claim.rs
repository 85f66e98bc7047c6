//! Claim of a run by the worker that fetched its task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dce_filter::{Filter, SyntaxError};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::fence::Fence;
use super::lock::{duration, lock_export_of};
use super::settle_export::settle_export;
use crate::export::admission::LEASE;
use crate::export::conflict::OnConflict;
use crate::export::phase::Phase;
use crate::export::warnings::Counters;
use crate::ids::{DISCORD_EPOCH_MS, Snowflake};
use crate::queue;
use crate::store::{StoreError, exactly_one, repeated};

/// A run with all that its new owner needs.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    pub fence: Fence,
    pub job_id: Uuid,
    /// The channel or thread.
    pub channel_id: Snowflake,
    /// Inclusive start.
    pub start_at: Option<DateTime<Utc>>,
    /// Exclusive end, fixed at the first claim.
    pub upper: Snowflake,
    /// Everything up to here is committed.
    pub cursor: Option<Snowflake>,
    /// Messages below the cursor.
    pub message_count: i64,
    /// Repaired messages below the cursor.
    pub repaired_count: i64,
    /// Messages below the cursor that the filter has dropped; `message_count` does not include them.
    pub filtered_count: i64,
    /// The counters behind the warnings about messages below the cursor.
    pub counters: Counters,
    /// Bytes of DCE's output that earlier attempts have read.
    pub bytes_read: i64,
    /// An earlier attempt read to the end: `None` if the run must be read on.
    pub through: Option<Through>,
    /// The lowest id at or below the cursor that appeared late: this attempt reads it again.
    pub reread_from: Option<Snowflake>,
    pub options: RunOptions,
    /// The request that created the export.
    pub request_id: Option<String>,
}

impl ClaimedRun {
    /// The id after which this attempt reads; DCE's `--after` is exclusive. `None`: from the channel's beginning.
    ///
    /// A resume begins with the cursor's millisecond, because Discord may list the messages of one millisecond in any order:
    /// one with a lower id may follow the cursor's. It begins earlier to read messages that appeared late.
    pub fn after(&self) -> Option<Snowflake> {
        let resumed = self.cursor.map(|cursor| {
            let in_order = cursor.first_of_millisecond().before();
            self.reread_from.map_or(in_order, |late| in_order.min(late.before()))
        });
        resumed.max(self.below_start())
    }

    /// The id just below the first one of `start_at`, which is inclusive.
    pub fn below_start(&self) -> Option<Snowflake> {
        self.start_at.and_then(Snowflake::first_at).map(Snowflake::before)
    }
}

/// DCE was through and everything is committed: only the proof is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Through {
    /// Time since then, by the database's clock.
    pub since: Duration,
}

/// The part of an export's `options` that DCE and the ingest follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Whether DCE resolves mentions and emoji into names (lossy).
    pub markdown: bool,
    /// Only messages that match are stored.
    pub filter: Option<String>,
    pub on_conflict: OnConflict,
    /// Whether an update keeps the version that it replaces.
    pub keep_versions: bool,
}

impl RunOptions {
    /// # Errors
    /// The filter was stored by a version that accepted it.
    pub fn parsed_filter(&self) -> Result<Option<Filter>, SyntaxError> {
        self.filter.as_deref().map(Filter::parse).transpose()
    }
}

/// The outcome of a claim.
#[derive(Debug)]
pub enum Claim {
    /// The run belongs to this worker now.
    Won(Box<ClaimedRun>),
    /// The task was stale, or a cancel was requested. The task is acknowledged.
    Nothing,
}

/// Claims the run that a fetched task names and acknowledges the task, in one transaction. A worker claims one task at a
/// time, so that a repetition after a lost answer recognises a run as its own.
pub async fn claim(pool: &PgPool, task: &queue::Task, worker: &str) -> Result<Claim, StoreError> {
    let may_have_committed = &AtomicBool::new(false);
    repeated(move || async move {
        let mut tx = pool.begin().await?;
        let claim = if let Some(run_id) = task.run_id {
            match claim_locked(&mut tx, run_id, &task.id, worker).await? {
                Claim::Nothing if may_have_committed.load(Ordering::Relaxed) => {
                    claimed_before(&mut tx, run_id, worker).await?
                }
                claim => claim,
            }
        } else {
            tracing::error!(task_id = task.id, "task.unreadable");
            Claim::Nothing
        };
        queue::acknowledge(&mut tx, &task.id, worker).await?;
        may_have_committed.store(true, Ordering::Relaxed);
        tx.commit().await?;
        Ok(claim)
    })
    .await
}

/// The run that an earlier try of this claim has won, if any.
async fn claimed_before(
    connection: &mut PgConnection,
    run_id: Uuid,
    worker: &str,
) -> Result<Claim, StoreError> {
    let row = sqlx::query_as!(
        ClaimedRow,
        r#"SELECT x.job_id, x.attempt, x.channel_id AS "channel_id!", x.upper_message_id AS "upper!", x.cursor_message_id,
                  x.message_count, x.repaired_count, x.filtered_count, x.warnings, x.bytes_read, x.reread_from,
                  extract(epoch FROM clock_timestamp() - x.through_at)::float8 AS through_seconds,
                  e.start_at, e.options, e.request_id
             FROM export_channels x JOIN exports e USING (job_id)
            WHERE x.id = $1 AND x.lease_owner = $2 AND x.status = 'running'"#,
        run_id,
        worker
    )
    .fetch_optional(connection)
    .await?;
    row.map_or(Ok(Claim::Nothing), |row| row.into_claim(run_id, worker))
}

async fn claim_locked(
    connection: &mut PgConnection,
    run_id: Uuid,
    task_id: &str,
    worker: &str,
) -> Result<Claim, StoreError> {
    let Some(export) = lock_export_of(connection, run_id).await? else { return Ok(Claim::Nothing) };
    if export.cancel_requested {
        // A cancel cancels pending runs itself; this one became pending after it.
        let ended = sqlx::query!(
            "UPDATE export_channels SET status = 'cancelled', finished_at = clock_timestamp(), task_id = NULL
              WHERE id = $1 AND task_id = $2 AND status = 'pending'",
            run_id,
            task_id
        )
        .execute(&mut *connection)
        .await?;
        if ended.rows_affected() == 1 {
            settle_export(connection, export.job_id).await?;
        }
        return Ok(Claim::Nothing);
    }
    // The first claim fixes the end, so that all attempts read the same window; never in the future, where messages
    // arrive faster than they could be proven complete.
    let row = sqlx::query_as!(
        ClaimedRow,
        r#"UPDATE export_channels x
              SET status = 'running', phase = $6, attempt = x.attempt + 1, task_id = NULL, lease_owner = $3,
                  lease_expires_at = clock_timestamp() + make_interval(secs => $4),
                  started_at = coalesce(x.started_at, clock_timestamp()),
                  upper_message_id = coalesce(x.upper_message_id,
                    (trunc(extract(epoch FROM least(e.end_at, clock_timestamp())) * 1000 - $5::bigint) * 4194304)::text)
             FROM exports e
            WHERE x.id = $1 AND x.task_id = $2 AND x.status = 'pending' AND e.job_id = x.job_id
           RETURNING x.job_id, x.attempt, x.channel_id AS "channel_id!", x.upper_message_id AS "upper!", x.cursor_message_id,
                     x.message_count, x.repaired_count, x.filtered_count, x.warnings, x.bytes_read, x.reread_from,
                     extract(epoch FROM clock_timestamp() - x.through_at)::float8 AS through_seconds,
                     e.start_at, e.options, e.request_id"#,
        run_id,
        task_id,
        worker,
        LEASE.as_secs_f64(),
        DISCORD_EPOCH_MS,
        Phase::Reading.as_str(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(Claim::Nothing) };
    let inserted = sqlx::query!(
        "INSERT INTO export_attempts (run_id, attempt, worker, cursor_before, reread_from) VALUES ($1, $2, $3, $4, $5)",
        run_id,
        row.attempt,
        worker,
        row.cursor_message_id,
        row.reread_from,
    )
    .execute(&mut *connection)
    .await?;
    exactly_one("insert attempt", inserted.rows_affected())?;
    settle_export(connection, export.job_id).await?;
    row.into_claim(run_id, worker)
}

/// The columns that a claim reads.
struct ClaimedRow {
    job_id: Uuid,
    attempt: i32,
    channel_id: String,
    upper: String,
    cursor_message_id: Option<String>,
    message_count: i64,
    repaired_count: i64,
    filtered_count: i64,
    warnings: serde_json::Value,
    bytes_read: i64,
    reread_from: Option<String>,
    through_seconds: Option<f64>,
    start_at: Option<DateTime<Utc>>,
    options: serde_json::Value,
    request_id: Option<String>,
}

impl ClaimedRow {
    fn into_claim(self, run_id: Uuid, worker: &str) -> Result<Claim, StoreError> {
        Ok(Claim::Won(Box::new(ClaimedRun {
            fence: Fence { run_id, attempt: self.attempt, worker: worker.to_owned() },
            job_id: self.job_id,
            channel_id: parse_id(&self.channel_id)?,
            start_at: self.start_at,
            upper: parse_id(&self.upper)?,
            cursor: self.cursor_message_id.as_deref().map(parse_id).transpose()?,
            message_count: self.message_count,
            repaired_count: self.repaired_count,
            filtered_count: self.filtered_count,
            counters: Counters::from_warnings(&self.warnings),
            bytes_read: self.bytes_read,
            through: self.through_seconds.map(|seconds| Through { since: duration(seconds) }),
            reread_from: self.reread_from.as_deref().map(parse_id).transpose()?,
            options: serde_json::from_value(self.options)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            request_id: self.request_id,
        })))
    }
}

/// Parses an id. A CHECK constraint guarantees digits; the service writes none of more than 64 bits.
fn parse_id(text: &str) -> Result<Snowflake, StoreError> {
    text.parse().map_err(|error: crate::ids::NotASnowflake| sqlx::Error::Decode(error.into()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first id of a millisecond.
    const fn first(millisecond: u64) -> u64 {
        millisecond << 22
    }

    /// The id after which a run with this cursor, this late message and this start (a millisecond) reads.
    fn after(cursor: Option<u64>, late: Option<u64>, start: Option<u64>) -> Option<u64> {
        let run = ClaimedRun {
            fence: Fence { run_id: Uuid::nil(), attempt: 1, worker: String::new() },
            job_id: Uuid::nil(),
            channel_id: Snowflake::new(1),
            start_at: start.map(|start| Snowflake::new(first(start)).time()),
            upper: Snowflake::new(u64::MAX),
            cursor: cursor.map(Snowflake::new),
            message_count: 0,
            repaired_count: 0,
            filtered_count: 0,
            counters: Counters::default(),
            bytes_read: 0,
            through: None,
            reread_from: late.map(Snowflake::new),
            options: RunOptions::default(),
            request_id: None,
        };
        run.after().map(Snowflake::get)
    }

    #[test]
    fn a_first_attempt_reads_from_the_start() {
        assert_eq!(after(None, None, None), None);
        assert_eq!(after(None, None, Some(7)), Some(first(7) - 1));
    }

    #[test]
    fn a_resume_begins_with_the_cursors_millisecond() {
        for cursor in [first(9), first(9) + 5, first(10) - 1] {
            assert_eq!(after(Some(cursor), None, None), Some(first(9) - 1));
            assert_eq!(after(Some(cursor), None, Some(9)), Some(first(9) - 1));
        }
    }

    #[test]
    fn a_resume_begins_with_a_message_that_appeared_late_but_never_below_the_start() {
        let cursor = Some(first(9) + 5);
        assert_eq!(after(cursor, Some(first(8) + 3), None), Some(first(8) + 2));
        assert_eq!(after(cursor, Some(first(9) + 1), None), Some(first(9) - 1), "the millisecond is lower");
        assert_eq!(after(cursor, Some(first(6) + 3), Some(7)), Some(first(7) - 1));
    }
}
