//! CORS: the origins whose scripts may call the API from a browser. None may, unless a setting names them.

use std::str::FromStr;

use actix_cors::Cors;
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};

use crate::request_id;

/// Seconds for which a browser may reuse a preflight answer.
const PREFLIGHT_AGE: usize = 3600;

/// The origins whose scripts may call the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// The API's own origin only.
    #[default]
    SameOrigin,
    Listed(Vec<String>),
    /// Any origin. A key is still required, and browsers never send one on their own.
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be * or origins such as https://example.org, separated by commas, without a path")]
pub struct InvalidOrigins;

impl FromStr for AllowedOrigins {
    type Err = InvalidOrigins;

    fn from_str(text: &str) -> Result<Self, InvalidOrigins> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let origins: Vec<_> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
        if origins.iter().all(|origin| is_origin(origin)) {
            Ok(Self::Listed(origins))
        } else {
            Err(InvalidOrigins)
        }
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

impl AllowedOrigins {
    /// The middleware that answers preflight requests and adds the CORS headers.
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
            Self::SameOrigin => cors,
            Self::Listed(origins) => origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)),
            Self::Any => cors.allow_any_origin().send_wildcard(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_nothing_else() {
        assert_eq!("*".parse(), Ok(AllowedOrigins::Any));
        let these = vec!["https://a.example".to_owned(), "http://localhost:3000".to_owned()];
        assert_eq!("https://a.example, http://localhost:3000".parse(), Ok(AllowedOrigins::Listed(these)));
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
            assert_eq!(text.parse::<AllowedOrigins>(), Err(InvalidOrigins), "{text}");
        }
    }
}
