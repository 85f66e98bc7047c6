//! Reports the rate limit to clients: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) on every
//! response of the route, and `Retry-After` once the limit is used up.

use actix_web::http::header::{HeaderName, HeaderValue};
use dce_core::export::rate_limit::{Quota, WINDOW};

use crate::problem::{Code, Problem};

/// The header fields for this quota.
pub fn headers(quota: &Quota) -> [(HeaderName, HeaderValue); 2] {
    let Quota { limit, remaining, reset_after } = quota;
    let policy = format!("\"creations\";q={limit};w={}", WINDOW.as_secs());
    let left = format!("\"creations\";r={remaining};t={reset_after}");
    [("ratelimit-policy", policy), ("ratelimit", left)].map(|(name, value)| {
        // Digits and ASCII punctuation: always a valid value.
        let value = HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""));
        (HeaderName::from_static(name), value)
    })
}

/// The problem of a client that has used up its limit.
pub fn exceeded(quota: &Quota) -> Problem {
    let detail = format!(
        "The limit is {} new exports a minute. Try again in {} s; one export may name several channels.",
        quota.limit, quota.reset_after
    );
    Problem::new(Code::RateLimitExceeded, detail).retry_after(quota.reset_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_have_the_syntax_of_the_draft() {
        let [policy, left] = headers(&Quota { limit: 10, remaining: 3, reset_after: 42 });
        assert_eq!(policy.1, "\"creations\";q=10;w=60");
        assert_eq!(left.1, "\"creations\";r=3;t=42");
    }
}
