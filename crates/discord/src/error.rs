//! Why a question to Discord has no answer.

use std::time::Duration;

/// The reason, and what the question cost. Contains neither the token nor content of messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    requests: u32,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, requests: u32) -> Self {
        Self { kind, requests }
    }

    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The number of HTTP requests that were sent.
    pub const fn requests(&self) -> u32 {
        self.requests
    }
}

/// `Unauthorized`, `Forbidden` and `NotFound` are Discord's own word: an answer in JSON. The same status from a proxy or
/// from Cloudflare, Discord's edge, is `Refused`. `code` is Discord's error code, such as 10008 for an unknown message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    #[error("Discord does not accept the token (401)")]
    Unauthorized,
    #[error("Discord forbids access (403, code {})", code_text(*.code))]
    Forbidden { code: Option<u64> },
    #[error("Discord does not know the resource (404, code {})", code_text(*.code))]
    NotFound { code: Option<u64> },
    #[error("the request was refused with status {status}{}", origin(*.by_discord))]
    Refused {
        status: u16,
        code: Option<u64>,
        /// Whether the answer has Discord's form. Otherwise it comes from Cloudflare or a proxy.
        by_discord: bool,
        retry_after: Option<Duration>,
    },
    #[error("Discord's rate limit allows the next request in {:.1} s", .retry_after.as_secs_f64())]
    RateLimited { retry_after: Duration },
    #[error("Discord cannot be reached: {0}")]
    Unavailable(Unavailability),
    #[error("Discord's answer cannot be read: {reason}")]
    Unreadable { reason: &'static str },
    #[error(
        "too many invalid requests (401, 403, 429) in ten minutes: no request is sent for {} s",
        .retry_after.as_secs()
    )]
    TooManyInvalidRequests { retry_after: Duration },
    #[error("the token is a user's, and ALLOW_USER_TOKEN is not set")]
    UserTokenNotAllowed,
}

/// A failure that may pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailability {
    #[error("status {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error("no connection: {cause}")]
    Connection { cause: String },
    #[error("no complete answer in time")]
    Timeout,
    #[error("the answer broke off")]
    BrokenBody,
}

impl Unavailability {
    /// The wait that the answer asked for.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Connection { .. } | Self::Timeout | Self::BrokenBody => None,
        }
    }
}

fn code_text(code: Option<u64>) -> String {
    code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
}

const fn origin(by_discord: bool) -> &'static str {
    if by_discord { "" } else { " by a proxy or by Cloudflare, not by Discord itself" }
}
