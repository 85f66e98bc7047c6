//! The status, counts, error, warnings and proof of an export, derived from its runs.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::export::state::{ExportStatus, RunCounts};
use crate::store::{StoreError, exactly_one};

/// Updates an export from its runs. The caller has locked the exports row and written its run.
pub(crate) async fn settle_export(
    connection: &mut PgConnection,
    job_id: Uuid,
) -> Result<ExportStatus, StoreError> {
    let runs = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE status IN ('pending', 'running')) AS "open!",
                  count(*) FILTER (WHERE status = 'failed') AS "failed!",
                  count(*) FILTER (WHERE status = 'cancelled') AS "cancelled!",
                  coalesce(max(attempt), 0) > 0 AS "any_claimed!",
                  coalesce(sum(message_count), 0)::bigint AS "message_count!",
                  coalesce(sum(inserted_count), 0)::bigint AS "inserted_count!",
                  coalesce(sum(updated_count), 0)::bigint AS "updated_count!",
                  CASE WHEN bool_and(verified_at IS NOT NULL) THEN max(verified_at) END AS verified_at,
                  (array_agg(error || jsonb_build_object('channel_id', channel_id)
                                   || CASE kind WHEN 'import' THEN jsonb_build_object('source', source) ELSE '{}' END ORDER BY finished_at, id)
                     FILTER (WHERE status = 'failed'))[1] AS first_error
             FROM export_channels WHERE job_id = $1"#,
        job_id
    )
    .fetch_one(&mut *connection)
    .await?;
    let status = RunCounts {
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
                verified_at = $9,
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
        runs.verified_at,
    )
    .execute(connection)
    .await?;
    exactly_one("settle export", settled.rows_affected())?;
    Ok(status)
}
