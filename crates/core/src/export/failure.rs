//! Why an attempt failed, in words a user can act on, and whether to try again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Declares the failures once: code, whether a retry can help, what happened, what to do.
macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $retry:literal, $message:literal, $action:literal;)*) => {
        /// Every way an attempt can fail. The code is what clients and tables see.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FailureKind {
            $($(#[$doc])* #[serde(rename = $code)] $name,)*
        }

        impl FailureKind {
            /// All of them, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, e.g. `invalid_token`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Whether the same run can succeed later without anyone changing anything.
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retry,)* }
            }

            /// What happened, one sentence.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }

            /// What the user can do, one sentence.
            pub const fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)* }
            }
        }
    };
}

failures! {
    /// Discord does not take the token.
    InvalidToken = "invalid_token", false,
        "Discord does not accept the token.",
        "Set DISCORD_TOKEN on the workers to a valid bot token and restart them, then retry the export.";
    /// 403 on the channel or its messages.
    MissingAccess = "missing_access", false,
        "The bot is not allowed to read this channel.",
        "Give the bot the permissions View Channel and Read Message History in this channel, then export again.";
    /// 404 on the channel.
    UnknownChannel = "unknown_channel", false,
        "Discord knows no channel with this id, or the bot is not a member of its server.",
        "Check the channel id and that the bot has been invited to the server.";
    /// A category or another channel without messages of its own.
    NotATextChannel = "not_a_text_channel", false,
        "This id is a category or another channel that holds no messages itself.",
        "Export the channels inside it by their own ids.";
    /// A forum: only its threads hold messages.
    ForumNeedsThreads = "forum_needs_threads", false,
        "This channel is a forum; its messages are in its threads.",
        "Export the forum's threads by their own ids.";
    /// DCE does not understand the filter.
    InvalidFilter = "invalid_filter", false,
        "DiscordChatExporter does not understand the filter.",
        "Correct `filter`; its language is described in DiscordChatExporter's documentation.";
    /// DCE refused its command line for another reason.
    InvalidArguments = "invalid_arguments", false,
        "DiscordChatExporter refused its arguments.",
        "Check that DCE_BIN is a supported version (2.46 to 2.47) and report this if it is.";
    /// The privileged intent is off.
    MissingMessageContentIntent = "missing_message_content_intent", false,
        "The bot may not see message content.",
        "Enable the Message Content intent for the bot in Discord's developer portal, then export again.";
    /// 429 beyond DCE's own patience.
    RateLimited = "rate_limited", true,
        "Discord limited the rate of requests for longer than DiscordChatExporter waits.",
        "Nothing to do: the export goes on by itself after a pause.";
    /// 5xx, dropped or refused connections, DNS, Cloudflare.
    DiscordUnavailable = "discord_unavailable", true,
        "Discord could not be reached or dropped the connection.",
        "Nothing to do: the export goes on by itself from the last message it read.";
    /// The worker's disk.
    DiskFull = "disk_full", true,
        "The worker's disk is full.",
        "Free space in WORK_DIR or give the worker a larger disk; the export tries again by itself.";
    /// DCE ended by a signal, an abort or an exception of its own.
    DceCrashed = "dce_crashed", true,
        "DiscordChatExporter crashed.",
        "Nothing to do at first: the export tries again; if it keeps happening, see the attempt's stderr_tail.";
    /// Discord sent text that DCE cannot decode.
    DceCannotReadMessage = "dce_cannot_read_message", false,
        "A message in this channel contains text that DiscordChatExporter cannot read.",
        "Export the parts before and after it with end_at and start_at; the last archived message tells where it is.";
    /// The program is not there.
    DceMissing = "dce_missing", true,
        "DiscordChatExporter was not found on the worker.",
        "Set DCE_BIN to the executable, with its whole folder beside it.";
    /// Exit code 0 but the output is not complete.
    OutputTruncated = "output_truncated", true,
        "DiscordChatExporter's output ends before its end.",
        "Nothing to do: what was read is kept and the export goes on from there.";
    /// The output is not the JSON that this version understands.
    OutputUnreadable = "output_unreadable", false,
        "DiscordChatExporter's output is not the JSON that this version of the service understands.",
        "Check that DCE_BIN is a supported version (2.46 to 2.47) and report this if it is.";
    /// One message larger than can be stored.
    MessageTooLarge = "message_too_large", false,
        "A message is larger than 16 MB and cannot be stored.",
        "Export the parts before and after it with end_at and start_at; the last archived message tells where it is.";
    /// The file did not grow for the stall limit.
    Stalled = "stalled", true,
        "DiscordChatExporter stopped making progress and was ended.",
        "Nothing to do: the export goes on by itself from the last message it read.";
    /// The attempt took longer than the total timeout.
    Timeout = "timeout", true,
        "The attempt took longer than EXPORT_TIMEOUT and was ended.",
        "Nothing to do while it makes progress: the export goes on from the last message; raise EXPORT_TIMEOUT if it does not.";
    /// The worker died or lost its database for longer than its lease.
    LeaseExpired = "lease_expired", true,
        "The worker that ran this export disappeared.",
        "Nothing to do: another worker goes on from the last message that was stored.";
    /// The importing process ended, was stopped, or lost its database for longer than its lease.
    ImportInterrupted = "import_interrupted", false,
        "The import was interrupted.",
        "Run `dce-worker import` again with the same files: what is archived already costs no time.";
    /// Postgres refused the data.
    DatabaseRefused = "database_refused", false,
        "The database refused what was read.",
        "See the attempt's history and the worker's log for the database's own words.";
    /// Postgres could not be reached for longer than a batch is repeated.
    DatabaseUnavailable = "database_unavailable", true,
        "The database could not be reached.",
        "Nothing to do: the export goes on by itself once the database is back.";
    /// Postgres takes no writes (25006).
    DatabaseReadOnly = "database_read_only", true,
        "The database takes no writes, for instance because its disk quota is used up.",
        "Make room or enlarge the database; the export goes on by itself once it takes writes again.";
    /// The worker's own fault.
    WorkerError = "worker_error", true,
        "The worker met an error of its own.",
        "Nothing to do at first: the export tries again; if it keeps happening, see the worker's log.";
    /// A text of DCE's that nobody classified yet.
    DceFailed = "dce_failed", false,
        "DiscordChatExporter failed with a message that this version does not know.",
        "Read the attempt's stderr_tail; if it looks temporary, export again.";
}

/// What to do about [`FailureKind::InvalidToken`] where an export only waits for a token that works.
pub const INVALID_TOKEN_WAITS: &str = "Set DISCORD_TOKEN on the workers to a valid bot token and restart them; exports go on by themselves then. \
     The present token is tried again every 10 minutes.";

impl FailureKind {
    /// Whether only somebody whose token Discord takes meets this failure.
    pub const fn shows_a_valid_token(self) -> bool {
        matches!(
            self,
            Self::MissingAccess
                | Self::UnknownChannel
                | Self::NotATextChannel
                | Self::ForumNeedsThreads
                | Self::MissingMessageContentIntent
                | Self::DceCannotReadMessage
        )
    }

    /// The failure with this code, as stored in tables.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// One failed attempt, as the worker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub kind: FailureKind,
    /// One line of DCE's or the system's own words; free of tokens and of message content.
    pub detail: Option<String>,
    /// The wait that Discord asked for, from the body of a 429.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of this kind without further words.
    pub const fn new(kind: FailureKind) -> Self {
        Self { kind, detail: None, retry_after: None }
    }

    /// The same with the words of whoever reported it.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// As [`Failure::to_json`], for a run that was handed back: it goes on by itself.
    pub fn to_waiting_json(&self) -> serde_json::Value {
        let mut json = self.to_json();
        json["retryable"] = true.into();
        if self.kind == FailureKind::InvalidToken {
            json["action"] = INVALID_TOKEN_WAITS.into();
        }
        json
    }

    /// As stored in `error` columns and shown to clients.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "code": self.kind.code(),
            "message": self.kind.message(),
            "action": self.kind.action(),
            "retryable": self.kind.is_retryable(),
        });
        if let Some(detail) = &self.detail {
            json["detail"] = serde_json::Value::from(detail.as_str());
        }
        json
    }
}

/// First step of the backoff; doubles with each failure in a row.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// The backoff grows no further than this.
const BACKOFF_MAX: Duration = Duration::from_mins(5);

/// How long to wait before the next attempt: exponential in the failures in a row without progress,
/// spread by `jitter` (0 to 1, drawn by the caller) over the upper half, and never less than Discord asked for.
pub fn retry_delay(failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let step = BACKOFF_BASE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let spread = step.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    spread.max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_stays_bounded_and_respects_discord() {
        assert_eq!(retry_delay(0, None, 1.0), Duration::from_secs(1));
        assert_eq!(retry_delay(1, None, 1.0), Duration::from_secs(1));
        assert_eq!(retry_delay(4, None, 1.0), Duration::from_secs(8));
        assert_eq!(retry_delay(4, None, 0.0), Duration::from_secs(4));
        assert_eq!(retry_delay(60, None, 1.0), BACKOFF_MAX);
        assert_eq!(retry_delay(1, Some(Duration::from_secs(90)), 0.3), Duration::from_secs(90));
    }

    #[test]
    fn every_code_is_unique_and_found_again() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::from_code(kind.code()), Some(*kind));
        }
    }
}
