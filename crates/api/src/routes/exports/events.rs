//! `GET /exports/{job_id}/events`: live events of one export.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::store::reading::change_token;

use super::job_id::{JobId, not_found};
use crate::live::event::EventId;
use crate::problem::Problem;
use crate::state::{AppState, in_time};

/// The id of the last event that a reconnecting client received.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Makes nginx and similar proxies forward events without buffering.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Follow an export
///
/// Server-Sent Events, as browsers' `EventSource` reads them. The first event is a `snapshot` of the export's current
/// state. Another one follows each committed change of state, and progress once a second. The data of a `snapshot` is the
/// body of `GET /exports/{job_id}` in one line. If the export leaves a state before its snapshot could be sent, the state
/// arrives as an event `state` with `{"job_id", "version", "status"}`. Clients therefore see every state in order; only a
/// client that falls more than 256 states behind misses some.
///
/// The id of an event is `{version}-{bytes_read}` and grows within a stream. An event without an id changes neither of
/// them, for instance when a worker appears for which the export was waiting. A client that reconnects receives the newest
/// snapshot first, or 204, which makes it stop, if it already has the last one. A comment every 15 seconds keeps the
/// connection open. The stream ends after the snapshot of the export's final state, and when the service stops.
#[utoipa::path(get, path = "/exports/{job_id}/events", tag = "exports",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client received. Browsers send it on their own.", example = "3-71400000")),
    responses(
        (status = 200, description = "The events.", body = String, content_type = "text/event-stream",
         headers(("Cache-Control" = String, description = "`no-cache`"), ("X-Accel-Buffering" = String, description = "`no`")),
         example = json!("retry: 2000\nid: 2-71400000\nevent: snapshot\ndata: {\"job_id\":\"01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e\",\"status\":\"running\"}\n\n: ping\n\n\
                          id: 3-71400000\nevent: state\ndata: {\"job_id\":\"01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e\",\"status\":\"running\",\"version\":3}\n\n")),
        (status = 204, description = "The export has ended, and the client already has its last event."),
    ))]
pub(in crate::routes) async fn events(
    request: HttpRequest,
    JobId(job_id): JobId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let token = in_time(change_token::read(&state.pool, &[job_id])).await?.pop().ok_or_else(not_found)?;
    let now = EventId { version: token.version, bytes_read: token.bytes_read };
    if token.is_final() && last_event_id(&request).is_some_and(|last| last >= now) {
        return Ok(HttpResponse::NoContent().finish());
    }
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((X_ACCEL_BUFFERING, "no"));
    if *request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let events = state.live.subscribe(job_id, now).await?.ok_or_else(not_found)?;
    Ok(response.streaming(events.into_body()))
}

/// The header `Last-Event-ID`. Anything but an id of this service counts as absent.
fn last_event_id(request: &HttpRequest) -> Option<EventId> {
    request.headers().get(LAST_EVENT_ID)?.to_str().ok()?.parse().ok()
}
