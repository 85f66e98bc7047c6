//! `GET /exports`: pages of all exports, newest first.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::DateTime;
use dce_core::export::request::FaultCode;
use dce_core::export::state::ExportStatus;
use dce_core::store::reading::export_list::{self, ExportFilter, ListPosition};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::pagination::{CURSOR, encode_cursor, link_next_page, read_cursor, truncate};
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

    let mut exports = in_time(export_list::page(&state.pool, &filter, after, limit + 1)).await?;
    let next_cursor = truncate(&mut exports, limit).map(|last| {
        let ListPosition { created_at, job_id } = last.position();
        encode_cursor(CURSOR_KIND, &(created_at.timestamp_micros(), job_id))
    });
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-cache"));
    if let Some(cursor) = &next_cursor {
        link_next_page(&mut response, &request, cursor);
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

/// A page of exports.
#[derive(Debug, Serialize, ToSchema)]
struct ExportPage {
    exports: Vec<ExportSummary>,
    /// Cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}
