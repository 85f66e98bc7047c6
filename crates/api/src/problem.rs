//! Error responses (RFC 9457, `application/problem+json`): codes, titles and rendering. No other file makes error bodies.

use std::borrow::Cow;
use std::fmt;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, HttpResponseBuilder, ResponseError};
use dce_core::export::request::{Fault, FaultCode};
use dce_core::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::request_id::RequestId;
use crate::wire;

/// Declares each problem once: variant, code, status, title.
macro_rules! problems {
    ($($(#[$comment:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// Every problem that the API can report. Clients distinguish them by the code, which never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$comment])* $name,)*
        }

        impl Code {
            /// All codes, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, e.g. `validation_failed`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// The page about this code, for people.
            fn page(self) -> String {
                format!("/docs/errors#{}", self.as_str())
            }

            /// A short name for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problems! {
    MalformedJson = "malformed_json", BAD_REQUEST, "The body is not JSON";
    NotAnObject = "not_an_object", BAD_REQUEST, "The body is not a JSON object";
    /// The request is otherwise valid but asks for a format other than `Json`.
    UnsupportedFormat = "unsupported_format", BAD_REQUEST, "The format is not supported";
    /// Any error in a request that no other code describes.
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be understood";
    IdempotencyKeyMalformed = "idempotency_key_malformed", BAD_REQUEST, "The Idempotency-Key is malformed";
    /// No key, or an unknown one.
    Unauthorized = "unauthorized", UNAUTHORIZED, "A key is required";
    InsufficientScope = "insufficient_scope", FORBIDDEN, "The key does not allow this";
    /// The request is otherwise valid but names a channel that may not be exported.
    ChannelNotAllowed = "channel_not_allowed", FORBIDDEN, "The channel is not allowed";
    ExportNotFound = "export_not_found", NOT_FOUND, "The export does not exist";
    MessageNotFound = "message_not_found", NOT_FOUND, "The message is not archived";
    ChannelNotFound = "channel_not_found", NOT_FOUND, "The channel is not archived";
    NotFound = "not_found", NOT_FOUND, "The path does not exist";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not support this method";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request was not received in time";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE, "None of the accepted media types is available";
    /// Cancelling an export that has completed or failed.
    ExportEnded = "export_ended", CONFLICT, "The export has ended";
    /// Retrying an export that has no failed or cancelled run and no cancel to withdraw.
    NothingToRetry = "nothing_to_retry", CONFLICT, "There is nothing to retry";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON";
    /// The request is otherwise valid but has a filter with a syntax error.
    InvalidFilter = "invalid_filter", UNPROCESSABLE_ENTITY, "The filter is not valid";
    /// Fields or parameters are wrong; `errors` lists all of them.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "The request is not valid";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another request";
    RateLimitExceeded = "rate_limit_exceeded", TOO_MANY_REQUESTS, "Too many exports were created in the last minute";
    Internal = "internal_error", INTERNAL_SERVER_ERROR, "The service failed";
    /// The database is unreachable, starting or too busy.
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "The database is not available";
    DatabaseReadOnly = "database_read_only", SERVICE_UNAVAILABLE, "The database is read-only";
    SchemaMissing = "schema_missing", SERVICE_UNAVAILABLE, "The database is not set up";
}

/// Seconds after which a client may retry when the database is unavailable.
const RETRY_UNAVAILABLE: u32 = 5;
/// Seconds after which a client may retry when the database is read-only: someone has to free space first.
const RETRY_READ_ONLY: u32 = 30;

/// One occurrence of a problem.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<StoreError>>,
}

impl Problem {
    /// A problem with a sentence about this occurrence. Clients see the sentence: it must not contain internals.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), faults: Vec::new(), headers: Vec::new(), cause: None }
    }

    pub const fn code(&self) -> Code {
        self.code
    }

    /// `allow` lists the supported methods, such as `GET, HEAD`.
    pub fn method_not_allowed(allow: String) -> Self {
        let problem = Self::new(Code::MethodNotAllowed, format!("This path supports {allow}."));
        // Methods are tokens: always a valid value.
        match HeaderValue::try_from(allow) {
            Ok(allow) => problem.with_header(ALLOW, allow),
            Err(_) => problem,
        }
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds the header `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.with_header(RETRY_AFTER, seconds.into())
    }

    fn database_unavailable() -> Self {
        let detail = "The database is unreachable or too busy. Try again later.";
        Self::new(Code::DatabaseUnavailable, detail).retry_after(RETRY_UNAVAILABLE)
    }

    /// The problem for an error response that was not made from a `Problem`.
    fn from_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Code::RequestTimeout,
            StatusCode::NOT_ACCEPTABLE => Code::NotAcceptable,
            StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            status if status.is_client_error() => Code::BadRequest,
            _ => Code::Internal,
        };
        Self::new(code, "The server refused the request before processing it.")
    }

    fn respond(&self, request_id: Option<&str>) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.code.status());
        response.content_type("application/problem+json");
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        response.json(Document {
            r#type: self.code.page(),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            errors: wire::all(self.faults.clone()),
        })
    }
}

/// An error, as `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document<'a> {
    /// A page about this code, for people.
    r#type: String,
    /// The code's meaning in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, and the remedy.
    detail: &'a str,
    /// For programs: it never changes.
    code: &'static str,
    /// The id of the request, as in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// Every error in the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<wire::fault::Fault>,
}

impl Document<'static> {
    /// An example for documentation.
    pub fn example(code: Code) -> Self {
        Self {
            r#type: code.page(),
            title: code.title(),
            status: code.status().as_u16(),
            detail: "What is wrong with this request, and the remedy.",
            code: code.as_str(),
            request_id: Some("01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e"),
            errors: Vec::new(),
        }
    }
}

impl From<Vec<Fault>> for Problem {
    fn from(faults: Vec<Fault>) -> Self {
        let problem = match faults.as_slice() {
            [only] if only.code == FaultCode::UnsupportedFormat => {
                Self::new(Code::UnsupportedFormat, format!("`format` {}.", only.detail))
            }
            [only] if only.code == FaultCode::InvalidFilter => {
                Self::new(Code::InvalidFilter, format!("`filter` has an error at {}.", only.detail))
            }
            [_] => Self::new(Code::ValidationFailed, "The request has one error: see `errors`."),
            _ => Self::new(Code::ValidationFailed, "The request has several errors: see `errors`."),
        };
        Self { faults, ..problem }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = if error.is_read_only() {
            let detail = "The database is read-only, for instance because its disk quota is used up. \
                          Exports can be read, but not created, cancelled or retried.";
            Self::new(Code::DatabaseReadOnly, detail).retry_after(RETRY_READ_ONLY)
        } else if error.is_transient() {
            Self::database_unavailable()
        } else if error.is_schema_missing() {
            let detail = "The database has not been migrated: run `dce-api migrate`, or start with MIGRATE_ON_START=true.";
            Self::new(Code::SchemaMissing, detail).retry_after(RETRY_READ_ONLY)
        } else {
            Self::new(Code::Internal, "The request failed. The log has the reason under this request_id.")
        };
        Self { cause: Some(Box::new(error)), ..problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.respond(None)
    }
}

/// Middleware: renders every error response, including those of the server itself, as a problem of this request. It is
/// also the only place that logs failures of the service.
pub async fn render(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return Ok(response.map_into_boxed_body());
    }
    let rendered = {
        let from_status = Problem::from_status(status);
        let problem =
            response.response().error().and_then(|error| error.as_error::<Problem>()).unwrap_or(&from_status);
        if problem.code.status().is_server_error() {
            let cause = problem.cause.as_ref().map(tracing::field::display);
            tracing::error!(error.kind = problem.code.as_str(), error.cause = cause, "request.failed");
        }
        let extensions = response.request().extensions();
        problem.respond(extensions.get::<RequestId>().map(RequestId::as_str))
    };
    Ok(response.into_response(rendered))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_has_an_error_status() {
        let codes: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
        }
    }

    #[test]
    fn every_code_has_a_section_in_the_documentation() {
        let page = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            assert!(page.contains(&format!("\n### {}\n", code.as_str())), "{code:?}");
        }
    }

    #[test]
    fn a_bad_filter_has_a_code_of_its_own_unless_there_are_other_faults() {
        let filter = || Fault::in_field("filter", FaultCode::InvalidFilter, "column 6: …");
        let other = Fault::in_field("media", FaultCode::NotAvailable, "not yet");
        assert_eq!(Problem::from(vec![filter()]).code, Code::InvalidFilter);
        assert_eq!(Problem::from(vec![filter(), other]).code, Code::ValidationFailed);
    }

    #[test]
    fn an_unsupported_format_is_400_alone_and_422_among_other_faults() {
        let format = || Fault::in_field("format", FaultCode::UnsupportedFormat, "must be \"Json\"");
        let other = Fault::in_field("media", FaultCode::NotAvailable, "not yet");
        assert_eq!(Problem::from(vec![format()]).code, Code::UnsupportedFormat);
        assert_eq!(Problem::from(vec![format(), other]).code, Code::ValidationFailed);
    }

    #[test]
    fn an_internal_error_does_not_reveal_its_cause() {
        let problem = Problem::from(StoreError::Unexpected { statement: "insert export", touched: 7 });
        assert_eq!(problem.code, Code::Internal);
        assert!(!problem.to_string().contains("insert export"));
    }
}
