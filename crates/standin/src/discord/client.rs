//! DCE's requests: the kind of the token, repetitions, and which refusals are errors.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::Waiter;
use super::http::{Head, HttpClient, HttpError, UnusableUrl};
use super::retry::{advised_wait, is_retried, wait};

/// A "hasty" client waits this many times shorter.
const HASTE: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    User,
    Bot,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("Authentication token is invalid.")]
    InvalidToken,
    /// 403 or 404, which DCE handles: it goes on with the next channel.
    #[error("Request to '{request}' failed: {}.", if *is_forbidden { "forbidden" } else { "not found" })]
    Refused { request: String, is_forbidden: bool },
    #[error("Request to '{request}' failed: {reason}.")]
    Failed { request: String, reason: String, body: String },
    #[error("Provided bot account is missing the MESSAGE_CONTENT privileged intent.")]
    NoIntent,
    /// The answer is no JSON, or not the object that DCE expects.
    #[error("DCE cannot read the answer to '{request}'")]
    Unreadable { request: String },
}

impl RequestError {
    /// Whether it is an error of DCE's own, which it ignores at a parent channel; those of .NET are never ignored.
    pub(crate) fn is_dces_own(&self) -> bool {
        matches!(self, Self::InvalidToken | Self::Refused { .. } | Self::Failed { .. })
    }
}

pub(crate) struct DiscordClient {
    http: HttpClient,
    token: String,
    kind: Option<TokenKind>,
    hasty: bool,
    respects_advice: bool,
}

impl DiscordClient {
    pub(crate) fn new(
        base: &str,
        token: &str,
        hasty: bool,
        respects_advice: bool,
    ) -> Result<Self, UnusableUrl> {
        Ok(Self { http: HttpClient::new(base)?, token: token.into(), kind: None, hasty, respects_advice })
    }

    /// The object at `request`, a path below the base URL. Every refusal is an error.
    pub(crate) fn get<T: DeserializeOwned>(
        &mut self,
        request: &str,
        waiter: &mut dyn Waiter,
    ) -> Result<T, RequestError> {
        let head = self.answer(request, waiter)?;
        let request = || request.to_owned();
        match head.status {
            200..300 => self.object(&request(), &head, waiter),
            401 => Err(RequestError::InvalidToken),
            403 => Err(RequestError::Refused { request: request(), is_forbidden: true }),
            404 => Err(RequestError::Refused { request: request(), is_forbidden: false }),
            status => {
                let body = self.http.body(&head, waiter)?;
                let body = String::from_utf8_lossy(&body).into_owned();
                Err(RequestError::Failed { request: request(), reason: status_words(status), body })
            }
        }
    }

    /// The object at `request`; none if it is refused, for whatever reason.
    pub(crate) fn try_get<T: DeserializeOwned>(
        &mut self,
        request: &str,
        waiter: &mut dyn Waiter,
    ) -> Result<Option<T>, RequestError> {
        let head = self.answer(request, waiter)?;
        if (200..300).contains(&head.status) {
            return self.object(request, &head, waiter).map(Some);
        }
        self.http.skip_body(&head);
        Ok(None)
    }

    /// Asks who the token is, first as a user: any answer but 401 makes it a user's token.
    pub(crate) fn token_kind(&mut self, waiter: &mut dyn Waiter) -> Result<TokenKind, RequestError> {
        if let Some(kind) = self.kind {
            return Ok(kind);
        }
        for kind in [TokenKind::User, TokenKind::Bot] {
            let head = self.send("users/@me", kind, waiter)?;
            self.http.skip_body(&head);
            if head.status != 401 {
                self.kind = Some(kind);
                return Ok(kind);
            }
        }
        Err(RequestError::InvalidToken)
    }

    fn object<T: DeserializeOwned>(
        &mut self,
        request: &str,
        head: &Head,
        waiter: &mut dyn Waiter,
    ) -> Result<T, RequestError> {
        let body = self.http.body(head, waiter)?;
        serde_json::from_slice(&body).map_err(|_| RequestError::Unreadable { request: request.into() })
    }

    fn answer(&mut self, request: &str, waiter: &mut dyn Waiter) -> Result<Head, RequestError> {
        let kind = self.token_kind(waiter)?;
        self.send(request, kind, waiter)
    }

    /// Sends a request until it has an answer that counts.
    fn send(
        &mut self,
        request: &str,
        kind: TokenKind,
        waiter: &mut dyn Waiter,
    ) -> Result<Head, RequestError> {
        let authorization = match kind {
            TokenKind::User => self.token.clone(),
            TokenKind::Bot => format!("Bot {}", self.token),
        };
        let mut retry = 0;
        loop {
            let answer = self.http.get(request, &authorization, waiter);
            let pause = match &answer {
                Ok(head) => {
                    let remaining = head.header("x-ratelimit-remaining");
                    let advised = advised_wait(remaining, head.header("x-ratelimit-reset-after"));
                    if let Some(advised) = advised.filter(|_| self.respects_advice) {
                        self.pause(advised, waiter)?;
                    }
                    is_retried(head.status).then(|| wait(retry, head.header("retry-after"))).flatten()
                }
                Err(HttpError::Unreachable) => wait(retry, None),
                Err(_) => None,
            };
            let Some(pause) = pause else { return Ok(answer?) };
            if let Ok(head) = &answer {
                self.http.skip_body(head);
            }
            self.pause(pause, waiter)?;
            retry += 1;
        }
    }

    fn pause(&self, wait: Duration, waiter: &mut dyn Waiter) -> Result<(), RequestError> {
        let wait = if self.hasty { wait / HASTE } else { wait };
        if waiter.wait_until(Instant::now() + wait) { Err(HttpError::Interrupted.into()) } else { Ok(()) }
    }
}

/// The name of a status in .NET, as words.
fn status_words(status: u16) -> String {
    match status {
        400 => "bad request",
        402 => "payment required",
        405 => "method not allowed",
        406 => "not acceptable",
        408 => "request timeout",
        409 => "conflict",
        410 => "gone",
        422 => "unprocessable entity",
        429 => "too many requests",
        500 => "internal server error",
        501 => "not implemented",
        502 => "bad gateway",
        503 => "service unavailable",
        504 => "gateway timeout",
        other => return other.to_string(),
    }
    .into()
}
