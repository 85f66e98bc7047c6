//! The response to a request for messages.

use actix_web::http::header::{HeaderValue, VARY};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::negotiation::MessageFormat;

pub(crate) struct Answer {
    pub(crate) response: HttpResponse,
    /// There are no messages, neither here nor on a later page.
    pub(crate) is_empty: bool,
}

/// Begins a response in this format.
pub(super) fn builder(format: MessageFormat) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type()).append_header((VARY, HeaderValue::from_static("accept")));
    response
}
