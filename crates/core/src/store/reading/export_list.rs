//! The list of exports, newest first, in pages. Each page is as fast as the first, with any filter.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::export::state::ExportStatus;
use crate::ids::Snowflake;
use crate::store::{StoreError, repeated};

/// The filter of a list; all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// Empty: any status.
    pub statuses: Vec<ExportStatus>,
    /// Only exports with a run of this channel.
    pub channel_id: Option<Snowflake>,
    pub created_after: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
}

/// The position of an export in the list, whether or not that export is in it. Ordered as the database orders exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListPosition {
    pub created_at: DateTime<Utc>,
    pub job_id: Uuid,
}

impl ExportFilter {
    /// The position before which all exports of the page were created.
    fn end(&self, after: Option<ListPosition>) -> Option<ListPosition> {
        let before = self.created_before.map(|created_at| ListPosition { created_at, job_id: Uuid::nil() });
        [before, after].into_iter().flatten().min()
    }
}

/// An export without its runs; field names are column names.
#[derive(Debug, Clone)]
pub struct ExportSummary {
    pub job_id: Uuid,
    pub status: String,
    pub channel_id: Option<String>,
    pub start_at: Option<DateTime<Utc>>,
    pub end_at: Option<DateTime<Utc>>,
    pub format: String,
    pub media: bool,
    pub options: serde_json::Value,
    pub message_count: i64,
    pub inserted_count: i64,
    pub updated_count: i64,
    pub duration_ms: Option<i64>,
    pub error: Option<serde_json::Value>,
    pub verified_at: Option<DateTime<Utc>>,
    pub warnings: serde_json::Value,
    pub request_id: Option<String>,
    pub requested_by: Option<String>,
    pub version: i64,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl ExportSummary {
    pub const fn position(&self) -> ListPosition {
        ListPosition { created_at: self.created_at, job_id: self.job_id }
    }
}

/// Reads at most `limit` exports that follow a position; `None`: from the newest. Exports that are created meanwhile come
/// before all pages and move none.
pub async fn page(
    pool: &PgPool,
    filter: &ExportFilter,
    after: Option<ListPosition>,
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
                        e.message_count, e.inserted_count, e.updated_count, e.duration_ms, e.error, e.verified_at, e.warnings,
                        e.request_id, e.requested_by, e.version, e.cancel_requested_at, e.created_at, e.started_at, e.finished_at
                   FROM list_exports($1, $2, coalesce($3::timestamptz, '-infinity'),
                                     coalesce($4::timestamptz, 'infinity'), $5, $6) l
                   JOIN exports e ON e.job_id = l.job_id)
               SELECT p.job_id, p.status, p.channel_id, p.start_at, p.end_at, p.format, p.media, p.options,
                      coalesce(t.message_count, p.message_count) AS "message_count!",
                      coalesce(t.inserted_count, p.inserted_count) AS "inserted_count!",
                      coalesce(t.updated_count, p.updated_count) AS "updated_count!",
                      p.duration_ms, p.error, p.verified_at, p.warnings, p.request_id, p.requested_by, p.version,
                      p.cancel_requested_at,
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

    fn at(second: i64, job_id: u128) -> ListPosition {
        ListPosition {
            created_at: DateTime::from_timestamp(second, 0).unwrap(),
            job_id: Uuid::from_u128(job_id),
        }
    }

    #[test]
    fn a_page_ends_at_the_older_of_cursor_and_filter() {
        let filter = ExportFilter { created_before: Some(at(10, 0).created_at), ..ExportFilter::default() };
        assert_eq!(filter.end(None), Some(at(10, 0)));
        assert_eq!(filter.end(Some(at(10, 7))), Some(at(10, 0)), "at that moment is not before it");
        assert_eq!(filter.end(Some(at(9, 7))), Some(at(9, 7)));
        assert_eq!(ExportFilter::default().end(None), None);
        assert_eq!(ExportFilter::default().end(Some(at(9, 7))), Some(at(9, 7)));
    }
}
