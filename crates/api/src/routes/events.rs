//! `GET /exports/{job_id}/events`: one export, live.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::store::reading::change_token;

use super::exports::{known, not_found};
use crate::live::event::EventId;
use crate::problem::Problem;
use crate::state::{AppState, in_time};

/// What a client that connects again has got last.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Tells nginx and its like to pass events on as they come.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Follow an export
///
/// Server-Sent Events, as browsers' `EventSource` reads them. The first event is a `snapshot` of the export as it is now;
/// another one follows every change of state as it is committed, and progress once a second. The data of a `snapshot` is
/// what `GET /exports/{job_id}` answers, in one line. A state that the export has left before its snapshot could be sent
/// comes as an event `state` with `{"job_id", "version", "status"}`, so that every state is seen in its order; only a
/// client that reads more slowly than 256 states come misses some.
///
/// The id of an event is `{version}-{bytes_read}` and rises within a stream; an event with none has changed neither, for
/// instance when a worker comes for which the export waits. A client that connects again gets the newest snapshot first,
/// and 204, which tells it to stop, if it has had the end already. Comments keep the connection open every 15 seconds.
/// The stream ends after the snapshot of the export's end, and when the service stops.
#[utoipa::path(get, path = "/exports/{job_id}/events", tag = "exports",
    params(
        ("job_id" = uuid::Uuid, Path, description = "The export."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client got; browsers send it by themselves.", example = "3-71400000"),
    ),
    responses(
        (status = 200, description = "The events.", body = String, content_type = "text/event-stream",
         headers(("Cache-Control" = String, description = "`no-cache`"), ("X-Accel-Buffering" = String, description = "`no`")),
         example = json!("retry: 2000\nid: 2-71400000\nevent: snapshot\ndata: {\"job_id\":\"01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e\",\"status\":\"running\"}\n\n: ping\n\n\
                          id: 3-71400000\nevent: state\ndata: {\"job_id\":\"01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e\",\"status\":\"running\",\"version\":3}\n\n")),
        (status = 204, description = "The export has ended, and the client has the event that says so."),
        (status = 404, description = "`export_not_found`"),
    ))]
pub(crate) async fn events(
    request: HttpRequest,
    job_id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let job_id = known(&job_id)?;
    let pulse = in_time(change_token::read(&state.pool, &[job_id])).await?.pop().ok_or_else(not_found)?;
    let now = EventId { version: pulse.version, bytes_read: pulse.bytes_read };
    if pulse.is_final() && last_event_id(&request).is_some_and(|last| last >= now) {
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
    Ok(response.streaming(events.into_stream()))
}

/// Another text than an id of ours is as good as none.
fn last_event_id(request: &HttpRequest) -> Option<EventId> {
    request.headers().get(LAST_EVENT_ID)?.to_str().ok()?.parse().ok()
}
