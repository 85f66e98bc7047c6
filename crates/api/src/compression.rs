//! Exemptions from compression: events, which must not wait for more events, and bodies so small that they would grow.

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::middleware::Next;

/// Minimum size in bytes for which compression pays off.
const MIN_SIZE: u64 = 1024;
/// The encoding "none". The compressing middleware leaves a response alone that already has an encoding.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Middleware inside the compressing one: marks the responses that must stay uncompressed.
pub async fn mark_exempt<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let size = response.response().body().size();
    let is_small = matches!(size, BodySize::Sized(bytes) if bytes < MIN_SIZE);
    let is_events = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/event-stream"));
    if (is_small || is_events) && !response.headers().contains_key(CONTENT_ENCODING) {
        response.headers_mut().insert(CONTENT_ENCODING, IDENTITY);
    }
    Ok(response)
}

/// Middleware outside the compressing one: removes the mark, which clients should not see (RFC 9110, 8.4).
pub async fn remove_mark<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    if response.headers().get(CONTENT_ENCODING) == Some(&IDENTITY) {
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    Ok(response)
}
