//! Answers, and Discord's bodies for errors.

use std::time::Duration;

use serde_json::{Value, json};

use super::fault::Scope;

/// An answer, and how much of it reaches the client.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) delivery: Delivery,
    /// The time before anything is sent.
    pub(super) delay: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// The connection is closed without an answer.
    Dropped,
    /// The connection is closed after half of the body.
    DroppedInside,
    /// Nothing is sent, and the connection stays open.
    Stalled,
    /// Nothing is sent after half of the body, and the connection stays open.
    StalledInside,
}

impl Delivery {
    /// Whether the client gets a status.
    pub(super) fn begins_answer(self) -> bool {
        !matches!(self, Self::Dropped | Self::Stalled)
    }
}

impl Answer {
    fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        let (headers, delivery, delay) = (Vec::new(), Delivery::Whole, Duration::ZERO);
        Self { status, content_type, headers, body, delivery, delay }
    }

    pub(super) fn json(value: &Value) -> Self {
        Self::raw_json(value.to_string().into_bytes())
    }

    pub(super) fn raw_json(body: Vec<u8>) -> Self {
        Self::new(200, "application/json", body)
    }

    fn error(status: u16, code: u32, message: &str) -> Self {
        let body = json!({ "message": message, "code": code }).to_string();
        Self::new(status, "application/json", body.into_bytes())
    }

    /// Discord's usual body for a status.
    pub(super) fn status(status: u16) -> Self {
        let (code, message) = match status {
            400 => (50_035, "Invalid Form Body"),
            401 => (0, "401: Unauthorized"),
            403 => (50_001, "Missing Access"),
            404 => (10_003, "Unknown Channel"),
            405 => (0, "405: Method Not Allowed"),
            500 => (0, "500: Internal Server Error"),
            502 => (0, "502: Bad Gateway"),
            503 => (0, "503: Service Unavailable"),
            _ => (0, "Error"),
        };
        Self::error(status, code, message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::status(401)
    }

    pub(super) fn missing_access() -> Self {
        Self::status(403)
    }

    pub(super) fn missing_permissions() -> Self {
        Self::error(403, 50_013, "Missing Permissions")
    }

    pub(super) fn unknown_channel() -> Self {
        Self::status(404)
    }

    pub(super) fn unknown_guild() -> Self {
        Self::error(404, 10_004, "Unknown Guild")
    }

    pub(super) fn unknown_member() -> Self {
        Self::error(404, 10_007, "Unknown Member")
    }

    pub(super) fn unknown_message() -> Self {
        Self::error(404, 10_008, "Unknown Message")
    }

    pub(super) fn unknown_emoji() -> Self {
        Self::error(400, 10_014, "Unknown Emoji")
    }

    pub(super) fn unknown_route() -> Self {
        Self::error(404, 0, "404: Not Found")
    }

    pub(super) fn invalid_query() -> Self {
        Self::status(400)
    }

    /// A channel whose type has no messages, such as a forum.
    pub(super) fn wrong_channel_type() -> Self {
        Self::error(400, 50_024, "Cannot execute action on this channel type")
    }

    /// 429 with the time to wait in the body and, rounded up, in the header.
    pub(super) fn rate_limited(retry_after: Duration, scope: Scope) -> Self {
        let seconds = retry_after.as_secs_f64();
        let body = json!({
            "message": "You are being rate limited.",
            "retry_after": seconds,
            "global": scope == Scope::Global,
        });
        let mut answer = Self::new(429, "application/json", body.to_string().into_bytes());
        answer.headers = vec![
            ("Retry-After", format!("{:.0}", seconds.ceil())),
            ("X-RateLimit-Scope", scope.name().to_owned()),
        ];
        if scope == Scope::Global {
            answer.headers.push(("X-RateLimit-Global", "true".to_owned()));
        }
        answer
    }

    /// The page of Cloudflare, Discord's edge, for a status.
    pub(super) fn html(status: u16) -> Self {
        let title = format!("{status} {}", reason(status));
        let body = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
             <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::new(status, "text/html", body.into_bytes())
    }

    pub(super) fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }
}

/// The reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
