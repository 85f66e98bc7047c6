//! Decides what an answer means, by its status, headers and body.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::error::{ErrorKind, Unavailability};
use crate::rate_limit_headers::{BucketHeaders, Scope, duration_of_seconds, retry_after};

/// The wait after a 429 that names none.
const UNKNOWN_WAIT: Duration = Duration::from_secs(5);
/// A shorter wait would repeat the request in a busy loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The body is what was asked for.
    Accepted,
    RateLimited {
        scope: Scope,
        retry_after: Duration,
    },
    Rejected(ErrorKind),
}

impl Verdict {
    /// Whether Discord counts the request as invalid.
    pub(crate) const fn is_invalid_request(&self) -> bool {
        match self {
            Self::RateLimited { scope, .. } => !matches!(scope, Scope::Shared),
            Self::Rejected(kind) => matches!(
                kind,
                ErrorKind::Unauthorized
                    | ErrorKind::Forbidden { .. }
                    | ErrorKind::Refused { status: 401 | 403, .. }
            ),
            Self::Accepted => false,
        }
    }
}

/// Discord's own form of a refusal. Cloudflare and proxies answer with HTML.
#[derive(Deserialize)]
struct Refusal {
    code: Option<u64>,
    retry_after: Option<f64>,
    #[serde(default)]
    global: bool,
}

pub(crate) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict {
    if status == StatusCode::OK {
        return Verdict::Accepted;
    }
    let refusal = serde_json::from_slice::<Refusal>(body).ok();
    if status == StatusCode::TOO_MANY_REQUESTS {
        return rate_limited(headers, refusal.as_ref());
    }
    Verdict::Rejected(rejected(status, headers, refusal))
}

fn rate_limited(headers: &HeaderMap, refusal: Option<&Refusal>) -> Verdict {
    let scope = match refusal {
        Some(refusal) if refusal.global => Scope::Global,
        Some(_) => Scope::read(headers).unwrap_or(Scope::User),
        // Cloudflare has blocked the address.
        None => Scope::Global,
    };
    let wait = refusal
        .and_then(|refusal| duration_of_seconds(refusal.retry_after?))
        .or_else(|| retry_after(headers))
        .or_else(|| BucketHeaders::read(headers).reset_after)
        .unwrap_or(UNKNOWN_WAIT);
    Verdict::RateLimited { scope, retry_after: wait.max(SHORTEST_WAIT) }
}

fn rejected(status: StatusCode, headers: &HeaderMap, refusal: Option<Refusal>) -> ErrorKind {
    let retry_after = retry_after(headers);
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return ErrorKind::Unavailable(Unavailability::Status { status: status.as_u16(), retry_after });
    }
    let by_discord = refusal.is_some();
    let code = refusal.and_then(|refusal| refusal.code);
    match status {
        StatusCode::UNAUTHORIZED if by_discord => ErrorKind::Unauthorized,
        StatusCode::FORBIDDEN if by_discord => ErrorKind::Forbidden { code },
        StatusCode::NOT_FOUND if by_discord => ErrorKind::NotFound { code },
        _ => ErrorKind::Refused { status: status.as_u16(), code, by_discord, retry_after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &[u8] = b"<html><body>Access denied | discord.com used Cloudflare</body></html>";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn verdict(status: u16, pairs: &[(&'static str, &'static str)], body: &[u8]) -> Verdict {
        classify(StatusCode::from_u16(status).unwrap(), &headers(pairs), body)
    }

    fn kind(status: u16, body: &[u8]) -> ErrorKind {
        match verdict(status, &[], body) {
            Verdict::Rejected(kind) => kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn discords_own_refusals_have_a_code() {
        assert_eq!(kind(401, br#"{"message":"401: Unauthorized","code":0}"#), ErrorKind::Unauthorized);
        let forbidden = ErrorKind::Forbidden { code: Some(50_001) };
        assert_eq!(kind(403, br#"{"message":"Missing Access","code":50001}"#), forbidden);
        let unknown = ErrorKind::NotFound { code: Some(10_003) };
        assert_eq!(kind(404, br#"{"message":"Unknown Channel","code":10003}"#), unknown);
        let refused =
            ErrorKind::Refused { status: 400, code: Some(50_035), by_discord: true, retry_after: None };
        assert_eq!(kind(400, br#"{"message":"Invalid Form Body","code":50035}"#), refused);
    }

    #[test]
    fn the_same_status_with_html_is_not_discords_word() {
        for status in [400, 401, 403, 404] {
            let refused = ErrorKind::Refused { status, code: None, by_discord: false, retry_after: None };
            assert_eq!(kind(status, HTML), refused);
            assert_eq!(kind(status, b""), refused);
        }
    }

    #[test]
    fn redirects_are_refusals_and_server_errors_may_pass() {
        assert!(matches!(kind(302, b""), ErrorKind::Refused { status: 302, .. }));
        for status in [408, 500, 502, 503, 520] {
            assert!(matches!(kind(status, HTML), ErrorKind::Unavailable(Unavailability::Status { .. })));
        }
    }

    #[test]
    fn a_429_waits_as_the_body_says_then_the_headers() {
        let wait = |pairs: &[(&'static str, &'static str)], body: &[u8]| match verdict(429, pairs, body) {
            Verdict::RateLimited { scope, retry_after } => (scope, retry_after.as_millis()),
            other => panic!("{other:?}"),
        };
        let body = br#"{"message":"You are being rate limited.","retry_after":0.65,"global":false}"#;
        assert_eq!(wait(&[("Retry-After", "1")], body), (Scope::User, 650));
        assert_eq!(wait(&[("X-RateLimit-Scope", "shared")], body), (Scope::Shared, 650));
        assert_eq!(wait(&[("X-RateLimit-Scope", "global")], body), (Scope::Global, 650));
        assert_eq!(wait(&[], br#"{"retry_after":64.57,"global":true}"#), (Scope::Global, 64_570));
        assert_eq!(wait(&[("Retry-After", "600")], HTML), (Scope::Global, 600_000));
        assert_eq!(wait(&[("X-RateLimit-Reset-After", "2.5")], b"{}"), (Scope::User, 2_500));
        assert_eq!(wait(&[], HTML), (Scope::Global, 5_000));
        assert_eq!(wait(&[], br#"{"retry_after":0}"#), (Scope::User, 100));
    }

    #[test]
    fn invalid_requests_are_401_403_and_429_without_shared() {
        let counts =
            |status, scope, body| verdict(status, &[("X-RateLimit-Scope", scope)], body).is_invalid_request();
        for status in [401, 403, 429] {
            assert!(counts(status, "user", b"{}"));
            assert!(counts(status, "user", HTML));
        }
        assert!(!counts(429, "shared", b"{}"));
        for status in [200, 400, 404, 500] {
            assert!(!counts(status, "user", b"{}"));
        }
    }
}
