//! What browsers are told: which origins may ask (none, unless a setting names them), and what they may not do with answers.

use std::str::FromStr;

use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, LINK, LOCATION, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;

use crate::request_id;

/// Seconds for which a browser need not ask again whether it may.
const PREFLIGHT_AGE: usize = 3600;
/// Of answers for programs nothing is run or shown.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";
/// The pages under /docs run their own scripts and ask this server.
const PAGES: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// Which pages' scripts may use the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None of another origin.
    #[default]
    Own,
    /// Those of these origins.
    These(Vec<String>),
    /// Any: a key is needed all the same, and browsers send none by themselves.
    Any,
}

/// Why a text names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be * or origins such as https://example.org, separated by commas, without a path")]
pub struct NoOrigins;

impl FromStr for Origins {
    type Err = NoOrigins;

    fn from_str(text: &str) -> Result<Self, NoOrigins> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let origins: Vec<_> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
        if origins.iter().all(|origin| is_origin(origin)) { Ok(Self::These(origins)) } else { Err(NoOrigins) }
    }
}

fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
            && !host.bytes().any(|byte| byte.is_ascii_uppercase())
    })
}

impl Origins {
    /// The middleware that answers browsers.
    pub fn middleware(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(["GET", "HEAD", "POST"])
            .allowed_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                IF_NONE_MATCH,
                HeaderName::from_static("idempotency-key"),
                HeaderName::from_static("last-event-id"),
                request_id::HEADER,
            ])
            .expose_headers([
                ETAG,
                LINK,
                LOCATION,
                RETRY_AFTER,
                HeaderName::from_static("idempotency-replayed"),
                HeaderName::from_static("ratelimit"),
                HeaderName::from_static("ratelimit-policy"),
                request_id::HEADER,
            ])
            .max_age(PREFLIGHT_AGE);
        match self {
            Self::Own => cors,
            Self::These(origins) => origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)),
            Self::Any => cors.allow_any_origin().send_wildcard(),
        }
    }
}

/// Middleware: the headers that every answer has.
pub async fn protect<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let is_page = request.path().starts_with("/docs");
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, if is_page { PAGES } else { NOTHING }),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Private chats: nobody in between keeps them, unless a route says how.
    if !is_page && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_a_scheme_and_a_host_and_nothing_else() {
        assert_eq!("*".parse(), Ok(Origins::Any));
        let these = vec!["https://a.example".to_owned(), "http://localhost:3000".to_owned()];
        assert_eq!("https://a.example, http://localhost:3000".parse(), Ok(Origins::These(these)));
        for text in [
            "",
            "example.org",
            "https://",
            "https://a/",
            "https://a,",
            "https://A",
            "ftp://a",
            "https://*.a",
            "null",
        ] {
            assert_eq!(text.parse::<Origins>(), Err(NoOrigins), "{text}");
        }
    }
}
