//! What is not compressed although the client would take it: events, which must not wait for more of them, and what is so
//! small that it would grow.

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::middleware::Next;

/// Bytes from which compressing pays.
const WORTHWHILE: u64 = 1024;
/// An encoding that is none: what has one already is left alone.
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// Middleware inside of the one that compresses: marks what that is to leave alone.
pub async fn exempt<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let size = response.response().body().size();
    let is_small = matches!(size, BodySize::Sized(bytes) if bytes < WORTHWHILE);
    let is_events = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|media_type| media_type.as_bytes().starts_with(b"text/event-stream"));
    if (is_small || is_events) && !response.headers().contains_key(CONTENT_ENCODING) {
        response.headers_mut().insert(CONTENT_ENCODING, IDENTITY);
    }
    Ok(response)
}

/// Middleware outside of it: takes the mark away, which no client should see (RFC 9110, 8.4).
pub async fn tidy<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    if response.headers().get(CONTENT_ENCODING) == Some(&IDENTITY) {
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    Ok(response)
}
