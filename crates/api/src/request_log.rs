//! The span of a request, whose fields appear in all its log lines, and the one line about its response.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::RootSpanBuilder;

use crate::request_id::RequestId;

/// Builds the root span with `request_id`, `method`, `route`, and `job_id` once it is known.
pub struct RequestSpan;

/// When the request arrived; `duration_ms` counts from here.
struct Arrival(Instant);

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let span = tracing::info_span!(
            "request",
            request_id = Empty,
            method = %request.method(),
            route = request.match_pattern().as_deref().unwrap_or("none"),
            job_id = Empty,
        );
        let mut extensions = request.extensions_mut();
        if let Some(id) = extensions.get::<RequestId>() {
            span.record("request_id", id.as_str());
        }
        extensions.insert(Arrival(Instant::now()));
        span
    }

    fn on_request_end<B: MessageBody>(_span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let Ok(response) = outcome else { return };
        let status = response.status().as_u16();
        let extensions = response.request().extensions();
        let duration_ms =
            extensions.get::<Arrival>().map(|arrival| arrival.0.elapsed().as_secs_f64() * 1000.0);
        // Probes come every few seconds; while they succeed they carry no news.
        let is_probe = matches!(response.request().path(), "/health" | "/livez" | "/readyz");
        if is_probe && response.status().is_success() {
            tracing::debug!(status, duration_ms, "request.answered");
        } else {
            tracing::info!(status, duration_ms, "request.answered");
        }
    }
}
