//! `GET /exports/{job_id}`: one export with all its details.

use actix_web::http::header::{CACHE_CONTROL, ETAG, EntityTag, Header as _, IfNoneMatch, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::store::reading::export;
use serde_json::{Value, json};

use super::job_id::{JobId, not_found};
use crate::problem::{Code, Problem};
use crate::rendered_export::RenderedExport;
use crate::state::{AppState, in_time};
use crate::wire::export::Export;

/// Get an export
///
/// Its state, counts, progress and runs, each run with its latest attempts. To wait for the end, follow `links.events`, or
/// poll with `If-None-Match` after `Retry-After` seconds until that header is absent.
#[utoipa::path(get, operation_id = "show", path = "/exports/{job_id}", tag = "exports",
    params(("If-None-Match" = Option<String>, Header, description = "ETags that the client has, or `*`. If one of them is current, the response is 304.")),
    responses(
        (status = 200, description = "The export.", body = Export,
         headers(("ETag" = String, description = "Weak. It changes with every field of the body except `messages_per_second`."),
                 ("Cache-Control" = String, description = "`no-cache`"),
                 ("Retry-After" = u32, description = "Seconds after which to poll again, 1 to 5; absent once the export has ended.")),
         example = json!(example())),
        (status = 304, description = "The client has the current state.",
         headers(("ETag" = String, description = "The current ETag, which the client has."),
                 ("Retry-After" = u32, description = "Seconds after which to poll again, 1 to 5; absent once the export has ended."))),
    ))]
pub(in crate::routes) async fn get(
    request: HttpRequest,
    JobId(job_id): JobId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let export = in_time(export::find(&state.pool, job_id)).await?.ok_or_else(not_found)?;
    let export = RenderedExport::new(export).map_err(|error| {
        tracing::error!(error = %error, "export.unreadable");
        Problem::new(
            Code::Internal,
            "The export cannot be returned. The log has the reason under this request_id.",
        )
    })?;
    let etag = EntityTag::new_weak(export.etag);
    let is_current = client_has(&request, &etag);
    let mut response = if is_current { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, etag)).insert_header((CACHE_CONTROL, "no-cache"));
    if let Some(seconds) = export.retry_after {
        response.insert_header((RETRY_AFTER, seconds));
    }
    Ok(if is_current {
        response.finish()
    } else {
        response.content_type("application/json").body(export.json)
    })
}

/// Whether the client already has the state with this ETag. An invalid header counts as absent.
fn client_has(request: &HttpRequest, etag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(etag)),
        Err(_) => false,
    }
}

/// Example of a running export.
fn example() -> Value {
    let run = json!({
        "id": "01990f3e-6a3c-7d10-8a5b-0c9d8e7f6a5b", "kind": "channel", "channel_id": "900000000000001004",
        "status": "running", "attempt": 1, "failures": 0, "max_attempts": 5, "next_attempt_at": null,
        "message_count": 51_000, "inserted_count": 51_000, "updated_count": 0, "repaired_count": 0, "bytes_read": 71_400_000,
        "first_message_id": "900000000000002001", "last_message_id": "1258057923784704000",
        "newest_at": "2024-07-03T09:50:40.123Z", "error": null, "warnings": [],
        "created_at": "2026-11-23T08:38:01.247217Z", "started_at": "2026-11-23T08:38:01.301544Z", "finished_at": null,
        "attempts": [{
            "attempt": 1, "worker": "01KAVSEWRXJ8Q8Y1B2C3D4E5F6", "started_at": "2026-11-23T08:38:01.301544Z",
            "ended_at": null, "outcome": null, "error_kind": null, "error_message": null, "dce_version": null,
            "exit_code": null, "stderr_tail": null
        }]
    });
    json!({
        "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "running", "channel_id": "900000000000001004",
        "start_at": null, "end_at": null, "format": "Json", "media": false, "options": { "markdown": false, "filter": null },
        "message_count": 51_000, "inserted_count": 51_000, "updated_count": 0, "repaired_count": 0, "bytes_read": 71_400_000,
        "progress": { "messages": 51_000, "bytes": 71_400_000, "newest_at": "2024-07-03T09:50:40.123Z", "messages_per_second": 5931.2 },
        "waiting": null, "duration_ms": null, "error": null, "warnings": [], "request_id": "01990f3e-6a3a-7e02-b0c1-52d4a7d1f0aa",
        "requested_by": null, "version": 2, "cancel_requested_at": null, "created_at": "2026-11-23T08:38:01.247217Z",
        "started_at": "2026-11-23T08:38:01.301544Z", "finished_at": null,
        "runs": [run],
        "links": {
            "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e",
            "events": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e/events",
            "messages": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e/messages",
            "cancel": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e/cancel"
        }
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::IF_NONE_MATCH;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn an_etag_is_recognised_in_every_syntax() {
        let etag = EntityTag::new_weak("3-70-ab".to_owned());
        let has = |values: &[&str]| {
            let request = values.iter().fold(TestRequest::default(), |request, value| {
                request.append_header((IF_NONE_MATCH, *value))
            });
            client_has(&request.to_http_request(), &etag)
        };
        for values in [
            &["*"][..],
            &["W/\"3-70-ab\""],
            &["\"3-70-ab\""],
            &["\"x\", W/\"3-70-ab\",\"y\""],
            &["\"x\"", "W/\"3-70-ab\""],
        ] {
            assert!(has(values), "{values:?}");
        }
        for values in [&[][..], &[""], &["3-70-ab"], &["W/\"3-70-ac\", \"x\""]] {
            assert!(!has(values), "{values:?}");
        }
    }
}
