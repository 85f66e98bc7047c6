//! `GET /exports`: pages of all exports, newest first.

use std::fmt::Write as _;

use actix_web::http::header::{CACHE_CONTROL, LINK};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, SecondsFormat, Utc};
use dce_core::export::request::FaultCode;
use dce_core::export::state::ExportStatus;
use dce_core::store::reading::export_list::{self, ExportFilter, ListPosition};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::pagination::{CURSOR, encode_cursor, read_cursor};
use crate::problem::Problem;
use crate::query_string::QueryString;
use crate::state::{AppState, in_time};
use crate::wire::all;
use crate::wire::export_summary::ExportSummary;

/// Kind of this list's cursors.
const CURSOR_KIND: &str = "exports.1";
const PARAMETERS: [&str; 6] = ["status", "channel_id", "created_after", "created_before", "limit", CURSOR];
/// Default and maximum number of exports on a page.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
const STATUSES: [(&str, ExportStatus); 5] = [
    (ExportStatus::Pending.as_str(), ExportStatus::Pending),
    (ExportStatus::Running.as_str(), ExportStatus::Running),
    (ExportStatus::Completed.as_str(), ExportStatus::Completed),
    (ExportStatus::Failed.as_str(), ExportStatus::Failed),
    (ExportStatus::Cancelled.as_str(), ExportStatus::Cancelled),
];

/// List exports
///
/// Newest first. Follow `next_cursor`, or the header `Link`, until there is none: every export that existed at the first
/// page appears exactly once, however many are created meanwhile. Counts of running exports are live.
#[utoipa::path(get, path = "/exports", tag = "exports",
    params(
        ("status" = Option<String>, Query, description = "Only exports with one of these states: `pending`, `running`, `completed`, `failed`, `cancelled`, separated by commas.", example = "pending,running"),
        ("channel_id" = Option<String>, Query, description = "Only exports with a run of this channel.", example = "900000000000001004"),
        ("created_after" = Option<DateTime<Utc>>, Query, description = "Only exports created after this time: RFC 3339 with an offset."),
        ("created_before" = Option<DateTime<Utc>>, Query, description = "Only exports created before this time: RFC 3339 with an offset."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Number of exports on a page; default 50."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page, unchanged."),
    ),
    responses(
        (status = 200, description = "A page of exports.", body = ExportPage,
         headers(("Link" = String, description = "The next page, as `<…>; rel=\"next\"`, if there is one.")),
         example = json!({
             "exports": [{
                 "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "completed", "channel_id": "900000000000001004",
                 "start_at": null, "end_at": null, "format": "Json", "media": false,
                 "options": { "markdown": false, "filter": null }, "message_count": 51000, "inserted_count": 51000,
                 "updated_count": 0, "duration_ms": 8600, "error": null, "warnings": [],
                 "request_id": "01990f3e-6a3a-7e02-b0c1-52d4a7d1f0aa", "requested_by": null, "version": 3,
                 "cancel_requested_at": null, "created_at": "2026-11-23T08:38:01.247217Z",
                 "started_at": "2026-11-23T08:38:01.301544Z", "finished_at": "2026-11-23T08:38:09.901822Z"
             }],
             "next_cursor": "WyJleHBvcnRzLjEiLFsxNzk1NDIzMDgxMjQ3MjE3LCIwMTk5MGYzZS02YTNiLTdjNTEtOWU1NC0xZjJhM2I0YzVkNmUiXV0"
         })),
    ))]
pub(in crate::routes) async fn list(
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let mut query = QueryString::read(&request, &PARAMETERS)?;
    let filter = ExportFilter {
        statuses: query.choices("status", &STATUSES),
        channel_id: query.id("channel_id"),
        created_after: query.time("created_after"),
        created_before: query.time("created_before"),
    };
    if let (Some(after), Some(before)) = (filter.created_after, filter.created_before)
        && after >= before
    {
        let detail = "must be later than created_after";
        query.fault("created_before", FaultCode::OutOfRange, detail);
    }
    let limit = query.number("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
    let cursor: Option<(i64, Uuid)> = read_cursor(&mut query, CURSOR_KIND);
    let after = cursor.and_then(|cursor| position(cursor, &mut query));
    query.finish()?;

    // One more than the page holds shows whether there is another page.
    let mut exports = in_time(export_list::page(&state.pool, &filter, after, limit + 1)).await?;
    let has_more = exports.len() > limit as usize;
    exports.truncate(limit as usize);
    let last = exports.last().filter(|_| has_more).map(export_list::ExportSummary::position);
    let next_cursor =
        last.map(|last| encode_cursor(CURSOR_KIND, &(last.created_at.timestamp_micros(), last.job_id)));
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-cache"));
    if let Some(cursor) = &next_cursor {
        response.insert_header((LINK, format!("<{}>; rel=\"next\"", next_page(&filter, limit, cursor))));
    }
    Ok(response.json(ExportPage { exports: all(exports), next_cursor }))
}

/// Cursors count microseconds, the precision of Postgres.
fn position((micros, job_id): (i64, Uuid), query: &mut QueryString) -> Option<ListPosition> {
    let created_at = DateTime::from_timestamp_micros(micros);
    if created_at.is_none() {
        query.fault(CURSOR, FaultCode::InvalidValue, "is not a cursor of this list: omit it");
    }
    Some(ListPosition { created_at: created_at?, job_id })
}

/// The path of the next page, with the same filter. No part of it needs percent-encoding.
fn next_page(filter: &ExportFilter, limit: u32, cursor: &str) -> String {
    let mut path = format!("/exports?limit={limit}");
    let mut add = |name: &str, value: String| {
        let _ = write!(path, "&{name}={value}"); // writing to a String cannot fail
    };
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if !filter.statuses.is_empty() {
        let words: Vec<_> = filter.statuses.iter().map(|status| status.as_str()).collect();
        add("status", words.join(","));
    }
    if let Some(channel_id) = filter.channel_id {
        add("channel_id", channel_id.to_string());
    }
    if let Some(after) = filter.created_after {
        add("created_after", time(after));
    }
    if let Some(before) = filter.created_before {
        add("created_before", time(before));
    }
    add(CURSOR, cursor.to_owned());
    path
}

/// A page of exports.
#[derive(Debug, Serialize, ToSchema)]
struct ExportPage {
    exports: Vec<ExportSummary>,
    /// Cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use dce_core::ids::Snowflake;

    use super::*;

    #[test]
    fn the_next_page_keeps_the_filter() {
        let filter = ExportFilter {
            statuses: vec![ExportStatus::Failed, ExportStatus::Cancelled],
            channel_id: Some(Snowflake::new(7)),
            created_after: DateTime::from_timestamp(0, 0),
            created_before: DateTime::from_timestamp_micros(1_500_000),
        };
        assert_eq!(
            next_page(&filter, 9, "abc"),
            "/exports?limit=9&status=failed,cancelled&channel_id=7&created_after=1970-01-01T00:00:00Z\
             &created_before=1970-01-01T00:00:01.500Z&cursor=abc"
        );
        assert_eq!(next_page(&ExportFilter::default(), 50, "abc"), "/exports?limit=50&cursor=abc");
    }
}
