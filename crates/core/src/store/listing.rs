//! Exports in lists, newest first: a page at a time, each as fast as the first, with whatever filter.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgPool;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{StoreError, repeated};
use crate::export::state::ExportStatus;
use crate::ids::Snowflake;

/// Which exports a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of one of these statuses; empty: of any.
    pub statuses: Vec<ExportStatus>,
    /// With a run of this channel.
    pub channel_id: Option<Snowflake>,
    /// Created after this moment.
    pub created_after: Option<DateTime<Utc>>,
    /// Created before this moment.
    pub created_before: Option<DateTime<Utc>>,
}

/// A place in a list: that of an export, whether or not it is in it. Ordered as the database orders exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// When the export was created.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub job_id: Uuid,
}

impl Filter {
    /// Everything in the page is before this, in the order of creation.
    fn end(&self, after: Option<Position>) -> Option<Position> {
        let before = self.created_before.map(|created_at| Position { created_at, job_id: Uuid::nil() });
        [before, after].into_iter().flatten().min()
    }
}

/// An export without its runs; field names are column names.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExportSummary {
    /// Its id.
    pub job_id: Uuid,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`.
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
    /// Messages read and committed, also of runs that are going on.
    pub message_count: i64,
    /// New ones among them.
    pub inserted_count: i64,
    /// Changed ones among them.
    pub updated_count: i64,
    /// From the first claim to the end, in milliseconds; null until then.
    pub duration_ms: Option<i64>,
    /// Of the first failed run: `code`, `message`, `action`, `channel_id`.
    #[schema(value_type = Option<Object>)]
    pub error: Option<serde_json::Value>,
    /// Those of its runs, each with its `channel_id`, as of its last change of state.
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
}

impl ExportSummary {
    /// Its place in every list.
    pub const fn position(&self) -> Position {
        Position { created_at: self.created_at, job_id: self.job_id }
    }
}

/// At most `limit` exports of the list, those that follow the position; `None`: from the newest on. Exports that are created
/// meanwhile come before all pages and move none.
pub async fn page(
    pool: &PgPool,
    filter: &Filter,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<ExportSummary>, StoreError> {
    let statuses: Vec<String> = filter.statuses.iter().map(ToString::to_string).collect();
    let (statuses, end) = (Some(statuses).filter(|some| !some.is_empty()), filter.end(after));
    let (statuses, channel_id) = (statuses.as_deref(), filter.channel_id.map(|id| id.to_string()));
    let channel_id = channel_id.as_deref();
    repeated(move || async move {
        let page = sqlx::query_as!(
            ExportSummary,
            r#"WITH page AS MATERIALIZED (
                 SELECT e.job_id, e.status, e.channel_id, e.start_at, e.end_at, e.format, e.media, e.options,
                        e.message_count, e.inserted_count, e.updated_count, e.duration_ms, e.error, e.warnings,
                        e.request_id, e.requested_by, e.version, e.cancel_requested_at, e.created_at, e.started_at, e.finished_at
                   FROM list_exports($1, $2, coalesce($3::timestamptz, '-infinity'),
                                     coalesce($4::timestamptz, 'infinity'), $5, $6) l
                   JOIN exports e ON e.job_id = l.job_id)
               SELECT p.job_id, p.status, p.channel_id, p.start_at, p.end_at, p.format, p.media, p.options,
                      coalesce(t.message_count, p.message_count) AS "message_count!",
                      coalesce(t.inserted_count, p.inserted_count) AS "inserted_count!",
                      coalesce(t.updated_count, p.updated_count) AS "updated_count!",
                      p.duration_ms, p.error, p.warnings, p.request_id, p.requested_by, p.version, p.cancel_requested_at,
                      p.created_at, p.started_at, p.finished_at
                 FROM page p
                 LEFT JOIN export_totals(ARRAY(SELECT job_id FROM page WHERE status = 'running')) t USING (job_id)
                ORDER BY p.created_at DESC, p.job_id DESC"#,
            statuses,
            channel_id,
            filter.created_after,
            end.map(|end| end.created_at),
            end.map_or_else(Uuid::nil, |end| end.job_id),
            i32::try_from(limit).unwrap_or(i32::MAX),
        )
        .fetch_all(pool)
        .await?;
        Ok(page)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, job_id: u128) -> Position {
        Position { created_at: DateTime::from_timestamp(second, 0).unwrap(), job_id: Uuid::from_u128(job_id) }
    }

    #[test]
    fn a_page_ends_where_the_cursor_or_the_filter_says_whichever_is_older() {
        let filter = Filter { created_before: Some(at(10, 0).created_at), ..Filter::default() };
        assert_eq!(filter.end(None), Some(at(10, 0)));
        assert_eq!(filter.end(Some(at(10, 7))), Some(at(10, 0)), "at that moment is not before it");
        assert_eq!(filter.end(Some(at(9, 7))), Some(at(9, 7)));
        assert_eq!(Filter::default().end(None), None);
        assert_eq!(Filter::default().end(Some(at(9, 7))), Some(at(9, 7)));
    }
}
