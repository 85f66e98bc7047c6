//! DCE's unhandled exceptions: how they are printed, and which failure each of them is.
//!
//! ```text
//! ERROR
//! System.Net.Http.HttpRequestException: An error occurred while sending the request.
//!     System.Net.Http.HttpIOException: The response ended prematurely. (ResponseEnded)
//!       at System.Net.Http.HttpConnection.SendAsync(…)
//!   at DiscordChatExporter.Core.…
//! ```
//! (DCE 2.47: recorded.) The first line below `ERROR` is the exception, deeper ones are its causes.
//! A message is compared from its beginning, where it is DCE's own text: names of channels and
//! servers, which their users choose, stand further on.

use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};

use super::detail::{shown, without_quotes};

/// One printed exception.
#[derive(Debug, Clone, Copy)]
struct Exception<'a> {
    /// Full name, e.g. `System.IO.IOException`.
    name: &'a str,
    /// The first line of its message.
    message: &'a str,
    /// All text below that line.
    below: &'a str,
}

/// What an exception means.
struct Verdict {
    kind: FailureKind,
    retry_after: Option<Duration>,
}

impl From<FailureKind> for Verdict {
    fn from(kind: FailureKind) -> Self {
        Self { kind, retry_after: None }
    }
}

/// Longest wait that is taken from Discord: it is known to send absurd ones.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Discord's error code for a channel without messages of its own, e.g. a category.
const WRONG_CHANNEL_TYPE: i64 = 50024;

/// Messages that only say that there is a cause.
const EMPTY_WORDS: [&str; 4] = [
    "Failed to export message #",
    "An error occurred while sending the request",
    "The SSL connection could not be established, see inner exception",
    "Error while copying content to a stream",
];

/// The failure printed below `ERROR`.
pub(super) fn failure(printed: &str) -> Failure {
    let chain = exceptions(printed);
    let known = chain.iter().enumerate().find_map(|(at, exception)| Some((at, verdict(exception)?)));
    let at = known.as_ref().map_or(0, |(at, _)| *at);
    // The first of them that says something.
    let telling = chain[at..]
        .iter()
        .find(|exception| !EMPTY_WORDS.iter().any(|words| exception.message.starts_with(words)))
        .or(chain.get(at));
    match (known, telling) {
        (Some((_, verdict)), telling) => Failure {
            kind: verdict.kind,
            detail: telling.map(|exception| shown(exception.message)),
            retry_after: verdict.retry_after,
        },
        (None, Some(Exception { name, message, .. })) => {
            let words = without_quotes(message);
            Failure::new(FailureKind::DceCrashed).with_detail(shown(&format!("{name}: {words}")))
        }
        (None, None) => {
            let line = printed.lines().find(|line| !line.trim().is_empty());
            Failure { detail: line.map(shown), ..Failure::new(FailureKind::DceFailed) }
        }
    }
}

/// The exception and its causes, outermost first.
fn exceptions(printed: &str) -> Vec<Exception<'_>> {
    let mut found = Vec::new();
    let mut below = printed;
    while !below.is_empty() {
        let (line, rest) = below.split_once('\n').unwrap_or((below, ""));
        below = rest;
        let indented = line.len() - line.trim_start_matches(' ').len();
        let Some((name, message)) = line.trim_start_matches(' ').split_once(": ") else { continue };
        // The first line is the exception, causes are indented by fours.
        if (indented > 0 || found.is_empty()) && indented % 4 == 0 && is_exception_name(name) {
            found.push(Exception { name, message: message.trim_end(), below });
        }
    }
    found
}

fn is_exception_name(name: &str) -> bool {
    name.ends_with("Exception")
        && name.contains('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+'))
}

fn verdict(exception: &Exception<'_>) -> Option<Verdict> {
    let message = exception.message;
    match exception.name {
        "DiscordChatExporter.Core.Exceptions.DiscordChatExporterException" => {
            if message == "Authentication token is invalid." {
                return Some(FailureKind::InvalidToken.into());
            }
            if message.starts_with("Provided bot account ") && mentions_intent(message) {
                return Some(FailureKind::MissingMessageContentIntent.into());
            }
            Refusal::parse(message).map(|refusal| refusal.verdict(exception.below))
        }
        "System.InvalidOperationException" => {
            unreadable(message).then_some(FailureKind::DceCannotReadMessage.into())
        }
        "System.IO.IOException" => Some(io_failure(message).into()),
        "System.IO.FileNotFoundException"
        | "System.IO.DirectoryNotFoundException"
        | "System.IO.PathTooLongException"
        | "System.UnauthorizedAccessException" => Some(FailureKind::WorkerError.into()),
        // An answer that is not JSON comes from something between Discord and here.
        "System.TimeoutException"
        | "System.Security.Authentication.AuthenticationException"
        | "System.Text.Json.JsonReaderException" => Some(FailureKind::DiscordUnavailable.into()),
        name => name.starts_with("System.Net.").then_some(FailureKind::DiscordUnavailable.into()),
    }
}

/// 2.46 and 2.47 word it differently.
fn mentions_intent(message: &str) -> bool {
    message.contains("MESSAGE_CONTENT privileged intent")
        || message.contains("Message Content Intent enabled")
}

/// .NET's words for text that is half a character.
fn unreadable(message: &str) -> bool {
    ["Cannot read incomplete UTF-16", "Cannot read invalid UTF-16", "Cannot transcode invalid UTF-8"]
        .iter()
        .any(|words| message.starts_with(words))
}

/// .NET has one exception for the disk and the network.
fn io_failure(message: &str) -> FailureKind {
    let starts = |words: &[&str]| words.iter().any(|words| message.starts_with(words));
    if starts(&["No space left on device", "Disk quota exceeded"]) {
        FailureKind::DiskFull
    } else if starts(&[
        "Unable to read data from the transport connection",
        "Unable to write data to the transport connection",
        "Received an unexpected EOF",
        "The response ended prematurely",
    ]) {
        FailureKind::DiscordUnavailable
    } else {
        FailureKind::WorkerError
    }
}

/// `Request to 'ROUTE' failed: STATUS.`: Discord refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    route: &'a str,
    status: &'a str,
}

impl<'a> Refusal<'a> {
    /// The whole of `message` must be one. A route is made of ids and names that DCE chose or
    /// encoded: nothing in it can close the quote.
    pub(super) fn parse(message: &'a str) -> Option<Self> {
        let (route, status) = message.strip_prefix("Request to '")?.split_once("' failed: ")?;
        let status = status.strip_suffix('.')?;
        let plain = status.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
        (plain && !route.contains(char::is_whitespace)).then_some(Self { route, status })
    }

    /// What 403 and 404 mean, which come without a body.
    pub(super) fn kind(self) -> Option<FailureKind> {
        let of_channel = self.route.starts_with("channels/") || self.route.starts_with("guilds/");
        match self.status {
            "forbidden" if of_channel => Some(FailureKind::MissingAccess),
            "not found" if of_channel => Some(FailureKind::UnknownChannel),
            _ => None,
        }
    }

    fn verdict(self, below: &str) -> Verdict {
        if let Some(kind) = self.kind() {
            return kind.into();
        }
        let body = Body::parse(below);
        let kind = match self.status {
            "too many requests" => {
                return Verdict { kind: FailureKind::RateLimited, retry_after: body.retry_after() };
            }
            "unauthorized" => FailureKind::InvalidToken,
            "forbidden" | "not found" => FailureKind::DceFailed,
            status if is_unavailable(status) => FailureKind::DiscordUnavailable,
            _ => body.kind(),
        };
        kind.into()
    }
}

/// Status 408 and all of 5xx, by .NET's names; those without a name are printed as numbers.
fn is_unavailable(status: &str) -> bool {
    const NAMES: [&str; 9] = [
        "request timeout",
        "internal server error",
        "not implemented",
        "bad gateway",
        "service unavailable",
        "gateway timeout",
        "http version not supported",
        "insufficient storage",
        "network authentication required",
    ];
    NAMES.contains(&status) || status.parse().is_ok_and(|status: u16| (500..600).contains(&status))
}

/// The body of a refusal, below its line: JSON if it is Discord's own.
struct Body(Option<serde_json::Value>);

impl Body {
    fn parse(below: &str) -> Self {
        let text = below.trim_start().strip_prefix("Response content: ");
        // Stack frames follow the document.
        Self(text.and_then(|text| serde_json::Deserializer::from_str(text).into_iter().next()?.ok()))
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.0.as_ref()?.get("retry_after")?.as_f64()?;
        Some(Duration::try_from_secs_f64(seconds).ok()?.min(LONGEST_WAIT))
    }

    /// What a refusal means that only its body explains. One that is not Discord's JSON was sent by
    /// the edge in front of it, as it does now and then in long exports.
    fn kind(&self) -> FailureKind {
        match &self.0 {
            None => FailureKind::DiscordUnavailable,
            Some(json)
                if json.get("code").and_then(serde_json::Value::as_i64) == Some(WRONG_CHANNEL_TYPE) =>
            {
                FailureKind::NotATextChannel
            }
            Some(_) => FailureKind::DceFailed,
        }
    }
}
