//! The failures of attempts: each code with a sentence about the failure and one about the remedy. `export/retry.rs`
//! decides which are retried.

use crate::export::sentences_macro::sentences;

sentences! {
    /// A class of failures. Clients and tables see its code.
    FailureKind {
        InvalidToken = "invalid_token",
            "Discord does not accept the token.",
            "Set DISCORD_TOKEN on the workers to a valid bot token and restart them, then retry the export.";
        /// 403 on the channel or its messages.
        MissingAccess = "missing_access",
            "The bot is not allowed to read this channel.",
            "Give the bot the permissions View Channel and Read Message History in this channel, then retry the export.";
        /// 404 on the channel.
        UnknownChannel = "unknown_channel",
            "Discord has no channel with this id, or the bot is not a member of its server.",
            "Check the channel id, and check that the bot has been invited to the server.";
        /// A category or another channel without messages of its own.
        NotATextChannel = "not_a_text_channel",
            "This id belongs to a category or to another channel that contains no messages itself.",
            "Export the channels inside it by their own ids.";
        /// A forum: only its threads hold messages.
        ForumNeedsThreads = "forum_needs_threads",
            "This channel is a forum: its messages are in its threads.",
            "Export the threads by their own ids.";
        /// 403 on a message that must exist, where the channel's list of messages was empty.
        HistoryHidden = "history_hidden",
            "The bot is not allowed to read this channel's message history: Discord returned an empty list instead of an error.",
            "Give the bot the permission Read Message History in this channel, then retry the export.";
        InvalidFilter = "invalid_filter",
            "The filter has a syntax error.",
            "Correct `filter` and create a new export.";
        /// DCE refused its command line for another reason than the filter.
        InvalidArguments = "invalid_arguments",
            "DiscordChatExporter refused its command-line arguments.",
            "Check that DCE_BIN is a supported version (2.46 to 2.48). If it is, report this as a bug in dce-service.";
        MissingMessageContentIntent = "missing_message_content_intent",
            "The bot is not allowed to read message content.",
            "Enable the Message Content intent for the bot in Discord's developer portal, then retry the export.";
        /// 429 for longer than DCE itself waits.
        RateLimited = "rate_limited",
            "Discord limited the rate of requests for longer than DiscordChatExporter waits.",
            "No action needed: after a pause, the export resumes from the last stored message.";
        /// 5xx, dropped or refused connections, DNS, Cloudflare.
        DiscordUnavailable = "discord_unavailable",
            "Discord was unreachable or closed the connection.",
            "No action needed: the export resumes from the last stored message.";
        DiskFull = "disk_full",
            "The worker's disk is full.",
            "Free space in WORK_DIR or give the worker a larger disk. The export is retried automatically.";
        /// A signal, an abort or an exception of DCE.
        DceCrashed = "dce_crashed",
            "DiscordChatExporter crashed.",
            "No action needed at first: the export is retried automatically. If it keeps failing, read the attempt's stderr_tail.";
        /// Discord sent text that DCE cannot decode.
        DceCannotReadMessage = "dce_cannot_read_message",
            "A message in this channel contains text that DiscordChatExporter cannot read.",
            "This message comes right after the last archived message. Export the messages before it with end_at, and the messages after it with start_at.";
        DceMissing = "dce_missing",
            "DiscordChatExporter was not found on the worker.",
            "Set DCE_BIN to the executable inside its complete folder.";
        /// Exit code 0, but the output is incomplete.
        OutputTruncated = "output_truncated",
            "DiscordChatExporter's output is incomplete.",
            "No action needed: the messages read so far are kept, and the export resumes from the last stored message.";
        /// Exit code 0 and complete documents, but Discord has messages beyond them.
        OutputShort = "output_short",
            "DiscordChatExporter reported success, but did not export all of the messages that Discord has.",
            "No action needed at first: the export is retried automatically and resumes from the last stored message. If two attempts in a row end at the same message, it fails, and `detail` names that message and Discord's newest one.";
        OutputUnreadable = "output_unreadable",
            "DiscordChatExporter's output is not the JSON that this version of dce-service understands.",
            "Check that DCE_BIN is a supported version (2.46 to 2.48). If it is, report this as a bug in dce-service.";
        MessageTooLarge = "message_too_large",
            "A message is larger than 16 MiB and cannot be stored.",
            "This message comes right after the last archived message. Export the messages before it with end_at, and the messages after it with start_at.";
        Stalled = "stalled",
            "DiscordChatExporter made no progress and was stopped.",
            "No action needed: the export resumes from the last stored message.";
        Timeout = "timeout",
            "The attempt took longer than EXPORT_TIMEOUT and was stopped.",
            "No action needed while attempts make progress: the export resumes from the last stored message. If they make none, raise EXPORT_TIMEOUT.";
        /// The worker died, or lost its database for longer than its lease.
        LeaseExpired = "lease_expired",
            "The worker that ran this export stopped responding.",
            "No action needed: another worker resumes the export from the last stored message.";
        /// The importing process ended, was stopped, or lost its database for longer than its lease.
        ImportInterrupted = "import_interrupted",
            "The import was interrupted.",
            "Run `dce-worker import` again with the same files: it skips archived messages quickly.";
        DatabaseRefused = "database_refused",
            "The database refused the messages.",
            "Read the database's error in `detail` and in the worker's log.";
        /// Postgres was unreachable for longer than a batch is repeated.
        DatabaseUnavailable = "database_unavailable",
            "The database was unreachable.",
            "No action needed: the export resumes from the last stored message once the database is available again.";
        /// SQLSTATE 25006.
        DatabaseReadOnly = "database_read_only",
            "The database is read-only, for instance because its disk quota is used up.",
            "Free space in the database or raise its quota. The export resumes automatically once the database accepts writes again.";
        WorkerError = "worker_error",
            "The worker failed with an internal error.",
            "No action needed at first: the export is retried automatically. If it keeps failing, read the worker's log.";
        /// A text of DCE that is not classified yet.
        DceFailed = "dce_failed",
            "DiscordChatExporter failed with a message that this version of dce-service does not recognise.",
            "Read the attempt's stderr_tail. If the cause seems temporary, retry the export.";
    }
}

/// The remedy for [`FailureKind::InvalidToken`] of an export that waits for a valid token.
pub const INVALID_TOKEN_WAITS: &str = "Set DISCORD_TOKEN on the workers to a valid bot token and restart them. Waiting exports then start automatically. \
     Until then, the current token is tried again every 10 minutes.";
