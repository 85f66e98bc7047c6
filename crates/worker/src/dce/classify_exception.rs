//! Classifies DCE's unhandled exceptions, as .NET prints them, as typed failures.
//!
//! ```text
//! ERROR
//! System.Net.Http.HttpRequestException: An error occurred while sending the request.
//!     System.Net.Http.HttpIOException: The response ended prematurely. (ResponseEnded)
//!       at System.Net.Http.HttpConnection.SendAsync(…)
//!   at DiscordChatExporter.Core.…
//! ```
//! (Recorded with DCE 2.47 and 2.48.) The first line below `ERROR` is the exception; indented ones are its causes. Messages are
//! compared from their beginning, which is DCE's own text: names of channels and servers, which users choose, come
//! later.

use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};

use super::sanitize::{sanitize, strip_quoted};

/// One printed exception.
#[derive(Debug, Clone, Copy)]
struct Exception<'a> {
    /// The full name, e.g. `System.IO.IOException`.
    name: &'a str,
    /// The first line of its message.
    message: &'a str,
    /// All text below the line of the message.
    below: &'a str,
}

impl Exception<'_> {
    /// Whether its stack has a method whose full name begins like this.
    fn has_frame(&self, method: &str) -> bool {
        self.below
            .lines()
            .any(|line| line.trim_start().strip_prefix("at ").is_some_and(|at| at.starts_with(method)))
    }
}

/// The meaning of an exception.
struct Classification {
    kind: FailureKind,
    retry_after: Option<Duration>,
}

impl From<FailureKind> for Classification {
    fn from(kind: FailureKind) -> Self {
        Self { kind, retry_after: None }
    }
}

/// Maximum wait accepted from Discord, which is known to send absurd ones.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Discord's error code for a channel without messages of its own, e.g. a category.
const WRONG_CHANNEL_TYPE: i64 = 50024;

/// DCE parses with Superpower nothing but filters.
const FILTER_EXCEPTION: &str = "Superpower.ParseException";
/// The method that parses a filter.
const FILTER_FRAME: &str = "DiscordChatExporter.Core.Exporting.Filtering.MessageFilter.Parse(";
/// The beginning of the methods that parse the values of options.
const OPTION_FRAME: &str = "CliFx.Activation.";

/// Messages without information of their own: a cause follows.
const UNINFORMATIVE: [&str; 4] = [
    "Failed to export message #",
    "An error occurred while sending the request",
    "The SSL connection could not be established, see inner exception",
    "Error while copying content to a stream",
];

/// Classifies the exception printed below `ERROR`.
pub(super) fn classify_exception(printed: &str) -> Failure {
    let chain = exceptions(printed);
    let known = chain.iter().enumerate().find_map(|(at, exception)| Some((at, classification(exception)?)));
    let at = known.as_ref().map_or(0, |(at, _)| *at);
    // The first of them with information of its own.
    let informative = chain[at..]
        .iter()
        .find(|exception| !UNINFORMATIVE.iter().any(|words| exception.message.starts_with(words)))
        .or(chain.get(at));
    match (known, informative) {
        (Some((_, classification)), informative) => Failure {
            kind: classification.kind,
            detail: informative.map(|exception| sanitize(exception.message)),
            retry_after: classification.retry_after,
        },
        (None, Some(Exception { name, message, .. })) => {
            let words = strip_quoted(message);
            Failure::new(FailureKind::DceCrashed).with_detail(sanitize(&format!("{name}: {words}")))
        }
        (None, None) => {
            let line = printed.lines().find(|line| !line.trim().is_empty());
            Failure { detail: line.map(sanitize), ..Failure::new(FailureKind::DceFailed) }
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
        // The first line is the exception; its causes are indented by multiples of four.
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

fn classification(exception: &Exception<'_>) -> Option<Classification> {
    let message = exception.message;
    match exception.name {
        "DiscordChatExporter.Core.Exceptions.DiscordChatExporterException" => {
            if message == "Authentication token is invalid." {
                return Some(FailureKind::InvalidToken.into());
            }
            if message.starts_with("Provided bot account ") && mentions_intent(message) {
                return Some(FailureKind::MissingMessageContentIntent.into());
            }
            RefusedRequest::parse(message).map(|refused| refused.classification(exception.below))
        }
        "System.InvalidOperationException" => {
            is_invalid_text(message).then_some(FailureKind::DceCannotReadMessage.into())
        }
        "System.IO.IOException" => Some(io_failure(message).into()),
        "System.IO.FileNotFoundException"
        | "System.IO.DirectoryNotFoundException"
        | "System.IO.PathTooLongException"
        | "System.UnauthorizedAccessException" => Some(FailureKind::WorkerError.into()),
        // A response that is not JSON comes from an intermediary, not from Discord.
        "System.TimeoutException"
        | "System.Security.Authentication.AuthenticationException"
        | "System.Text.Json.JsonReaderException" => Some(FailureKind::DiscordUnavailable.into()),
        name if name.starts_with("System.Net.") => Some(FailureKind::DiscordUnavailable.into()),
        _ => refused_value(exception).map(Into::into),
    }
}

/// The meaning of an exception about the value of an option. DCE 2.48 does not handle these exceptions (before, they
/// were a sentence: see `classify_stderr`). Discord's data can cause the same ones, so the stack decides.
fn refused_value(exception: &Exception<'_>) -> Option<FailureKind> {
    if exception.name == FILTER_EXCEPTION || exception.has_frame(FILTER_FRAME) {
        Some(FailureKind::InvalidFilter)
    } else {
        exception.has_frame(OPTION_FRAME).then_some(FailureKind::InvalidArguments)
    }
}

/// DCE 2.46 has another text than 2.47 and 2.48.
fn mentions_intent(message: &str) -> bool {
    message.contains("MESSAGE_CONTENT privileged intent")
        || message.contains("Message Content Intent enabled")
}

/// Whether it is one of .NET's messages about text that ends within a character.
fn is_invalid_text(message: &str) -> bool {
    ["Cannot read incomplete UTF-16", "Cannot read invalid UTF-16", "Cannot transcode invalid UTF-8"]
        .iter()
        .any(|words| message.starts_with(words))
}

/// .NET has one exception for both the disk and the network.
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

/// A request that Discord refused: `Request to 'ROUTE' failed: STATUS.`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RefusedRequest<'a> {
    route: &'a str,
    status: &'a str,
}

impl<'a> RefusedRequest<'a> {
    /// Parses `message`, which must have no other text. A route consists of ids and names that DCE chose or encoded, so
    /// nothing in it can close the quote.
    pub(super) fn parse(message: &'a str) -> Option<Self> {
        let (route, status) = message.strip_prefix("Request to '")?.split_once("' failed: ")?;
        let status = status.strip_suffix('.')?;
        let plain = status.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ');
        (plain && !route.contains(char::is_whitespace)).then_some(Self { route, status })
    }

    /// The meaning of 403 and 404, which come without a body.
    pub(super) fn kind(self) -> Option<FailureKind> {
        let of_channel = self.route.starts_with("channels/") || self.route.starts_with("guilds/");
        match self.status {
            "forbidden" if of_channel => Some(FailureKind::MissingAccess),
            "not found" if of_channel => Some(FailureKind::UnknownChannel),
            _ => None,
        }
    }

    fn classification(self, below: &str) -> Classification {
        if let Some(kind) = self.kind() {
            return kind.into();
        }
        let body = ResponseBody::parse(below);
        let kind = match self.status {
            "too many requests" => {
                return Classification { kind: FailureKind::RateLimited, retry_after: body.retry_after() };
            }
            "unauthorized" => FailureKind::InvalidToken,
            "forbidden" | "not found" => FailureKind::DceFailed,
            status if is_unavailable(status) => FailureKind::DiscordUnavailable,
            _ => body.kind(),
        };
        kind.into()
    }
}

/// Whether it is status 408 or 5xx, as .NET prints them: by name, or as a number if there is no name.
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

/// The body of a refused request, which is printed below its line: JSON if it is Discord's own.
struct ResponseBody(Option<serde_json::Value>);

impl ResponseBody {
    fn parse(below: &str) -> Self {
        let text = below.trim_start().strip_prefix("Response content: ");
        // Stack frames follow the document.
        Self(text.and_then(|text| serde_json::Deserializer::from_str(text).into_iter().next()?.ok()))
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.0.as_ref()?.get("retry_after")?.as_f64()?;
        Some(Duration::try_from_secs_f64(seconds).ok()?.min(MAX_RETRY_AFTER))
    }

    /// The meaning of a refusal that only its body explains. A body that is not Discord's JSON comes from the edge
    /// servers in front of Discord, which occasionally refuse requests in long exports.
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
