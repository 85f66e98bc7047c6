//! How clients learn of their limit: `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) on every
//! answer of the route, `Retry-After` where it is used up.

use actix_web::http::header::{HeaderName, HeaderValue};
use dce_core::export::rate_limit::{Quota, WINDOW};

use crate::problem::{Code, Problem};

/// The fields for what is left.
pub fn headers(quota: &Quota) -> [(HeaderName, HeaderValue); 2] {
    let Quota { limit, remaining, reset_after } = quota;
    let policy = format!("\"creations\";q={limit};w={}", WINDOW.as_secs());
    let left = format!("\"creations\";r={remaining};t={reset_after}");
    [("ratelimit-policy", policy), ("ratelimit", left)].map(|(name, value)| {
        // Digits and ASCII marks.
        let value = HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static(""));
        (HeaderName::from_static(name), value)
    })
}

/// Nothing is left.
pub fn exceeded(quota: &Quota) -> Problem {
    let detail = format!(
        "At most {} exports a minute may be created. Try again in {} s; one export may name several channels.",
        quota.limit, quota.reset_after
    );
    Problem::new(Code::RateLimitExceeded, detail).retry_after(quota.reset_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_as_the_draft_writes_them() {
        let [policy, left] = headers(&Quota { limit: 10, remaining: 3, reset_after: 42 });
        assert_eq!(policy.1, "\"creations\";q=10;w=60");
        assert_eq!(left.1, "\"creations\";r=3;t=42");
    }
}
