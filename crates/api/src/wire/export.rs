//! One export in full.

use chrono::{DateTime, Utc};
use dce_core::export::state::ExportStatus;
use dce_core::store::reading::export;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::blocker::Blocker;
use super::progress::Progress;
use super::{all, body};

/// An export with its runs and links.
#[derive(Debug, Serialize, ToSchema)]
pub struct Export {
    #[serde(flatten)]
    pub export: ExportWithRuns,
    /// Related resources and possible actions.
    pub links: ExportLinks,
}

/// Paths related to an export. Actions that its state does not allow are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExportLinks {
    /// The export itself.
    #[serde(rename = "self")]
    pub itself: String,
    /// Live events.
    pub events: String,
    /// The messages that the export covers.
    pub messages: String,
    /// POST cancels the export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
    /// POST retries failed and cancelled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
}

impl ExportLinks {
    pub fn new(export: &ExportWithRuns) -> Self {
        let itself = format!("/exports/{}", export.job_id);
        let is_final = ExportStatus::parse(&export.status).is_some_and(ExportStatus::is_final);
        let cancelling = !is_final && export.cancel_requested_at.is_some();
        let ended = |status: &str| matches!(status, "failed" | "cancelled");
        let is_import = export.runs.iter().any(|run| run.kind == "import");
        let has_ended = export.runs.iter().any(|run| ended(&run.status));
        let retry = !is_import && (cancelling || has_ended);
        Self {
            events: format!("{itself}/events"),
            messages: format!("{itself}/messages"),
            cancel: (!is_final && !cancelling).then(|| format!("{itself}/cancel")),
            retry: retry.then(|| format!("{itself}/retry")),
            itself,
        }
    }
}

body! {
    /// An export with its runs. Field names are column names.
    ExportWithRuns from export: export::ExportWithRuns {
        job_id: Uuid,
        /// `pending`, `running`, `completed`, `failed` or `cancelled`: derived from the runs.
        status: String,
        /// What the workers are doing: `reading` (DiscordChatExporter runs, or its messages are being stored) or `verifying`
        /// (everything is stored, and Discord is asked whether there is more). Of several running runs, the least advanced one's.
        /// Null while no run is running.
        phase: Option<String> = export::phase(&export.runs).map(ToOwned::to_owned),
        /// The only channel of a single-channel export.
        channel_id: Option<String>,
        /// Only messages sent at or after this time.
        start_at: Option<DateTime<Utc>>,
        /// Only messages sent before this time.
        end_at: Option<DateTime<Utc>>,
        /// `Json`.
        format: String,
        /// Whether attachments are downloaded.
        media: bool,
        /// Other options of the request.
        #[schema(value_type = Object)]
        options: serde_json::Value,
        /// Messages read and committed; of an export with a filter only those that match.
        message_count: i64 = export::total(&export.runs, |run| run.message_count),
        /// Messages that were new.
        inserted_count: i64 = export::total(&export.runs, |run| run.inserted_count),
        /// Messages that had changed and were replaced.
        updated_count: i64 = export::total(&export.runs, |run| run.updated_count),
        /// Messages with characters that Postgres cannot hold, replaced by U+FFFD.
        repaired_count: i64 = export::total(&export.runs, |run| run.repaired_count),
        /// Messages that were read, but do not match the filter. Not part of `message_count`.
        filtered_count: i64 = export::total(&export.runs, |run| run.filtered_count),
        /// Bytes of DCE's output read so far.
        bytes_read: i64 = export::total(&export.runs, |run| run.bytes_read),
        /// Requests that the service itself sent to Discord in ended attempts; those of DiscordChatExporter are not included.
        discord_requests: i64 = export::total(&export.runs, |run| run.discord_requests),
        /// Progress and speed.
        progress: Progress = Progress::new(&export.runs),
        /// Why no due run of the export starts, if somebody has to resolve it. Null while the runs wait for their turn, and when
        /// none is due.
        waiting: Option<Blocker> = export.blocker.map(Into::into),
        /// Milliseconds from the first claim to the end; null until then.
        duration_ms: Option<i64>,
        /// The error of the first failed run: `code`, `message` (what happened), `action` (the remedy), `channel_id`.
        #[schema(value_type = Option<Object>)]
        error: Option<serde_json::Value>,
        /// When Discord confirmed the last run's completeness. Null unless all runs are completed and verified.
        verified_at: Option<DateTime<Utc>>,
        /// The runs' warnings, each with its `channel_id`.
        #[schema(value_type = Vec<Object>)]
        warnings: serde_json::Value = export::warnings(&export.runs),
        /// Id of the request that created the export.
        request_id: Option<String>,
        /// Name of the API key that created the export.
        requested_by: Option<String>,
        /// Grows with every change of state.
        version: i64,
        /// When a cancel was requested.
        cancel_requested_at: Option<DateTime<Utc>>,
        /// When the export was created.
        created_at: DateTime<Utc>,
        /// When a worker first claimed one of the runs.
        started_at: Option<DateTime<Utc>>,
        /// When the last run ended.
        finished_at: Option<DateTime<Utc>>,
        /// One run for each channel.
        runs: Vec<Run> = all(export.runs),
    } else export.row
}

body! {
    /// One channel of an export.
    Run from run: export::RunWithAttempts {
        id: Uuid,
        /// `channel`, `discovery` or `import`.
        kind: String,
        /// The file that an import reads, as the user named it; for a member of an archive `archive.zip!/member`.
        #[serde(skip_serializing_if = "String::is_empty")]
        source: String,
        /// The channel or thread.
        channel_id: Option<String>,
        /// `pending`, `running`, `completed`, `failed` or `cancelled`.
        status: String,
        /// What the worker is doing: `reading` (DiscordChatExporter runs, or its messages are being stored) or `verifying`
        /// (everything is stored, and Discord is asked whether there is more). Null unless the run is running.
        phase: Option<String>,
        /// Number of attempts so far.
        attempt: i32,
        /// Failures in a row without progress.
        failures: i32,
        /// Value of `failures` at which the run fails for good; 0 for an import, which is attempted once.
        max_attempts: i32,
        /// Earliest time of the next attempt, while the run waits after a failure.
        next_attempt_at: Option<DateTime<Utc>>,
        /// Messages read and committed; of an export with a filter only those that match.
        message_count: i64,
        /// Messages that were new.
        inserted_count: i64,
        /// Messages that had changed and were replaced.
        updated_count: i64,
        /// Messages with characters that Postgres cannot hold, replaced by U+FFFD.
        repaired_count: i64,
        /// Messages that were read, but do not match the filter. Not part of `message_count`.
        filtered_count: i64,
        /// Bytes of DCE's output read so far.
        bytes_read: i64,
        /// The oldest message read; of an export with a filter the oldest match.
        first_message_id: Option<String>,
        /// The newest message read; of an export with a filter the newest match.
        last_message_id: Option<String>,
        /// When the newest message was sent.
        newest_at: Option<DateTime<Utc>>,
        /// When Discord confirmed that the run has all messages of its range. Null: not verified.
        verified_at: Option<DateTime<Utc>>,
        /// Discord's newest message of the range at that time. Null: not verified, or no message precedes the end of the range.
        verified_newest_id: Option<String>,
        /// Requests that the service itself sent to Discord in ended attempts; those of DiscordChatExporter are not included.
        discord_requests: i64,
        /// The last failure: `code`, `message` (what happened), `action` (the remedy), `retryable`.
        #[schema(value_type = Option<Object>)]
        error: Option<serde_json::Value>,
        /// Anomalies that did not stop the run.
        #[schema(value_type = Vec<Object>)]
        warnings: serde_json::Value,
        /// When the run was created.
        created_at: DateTime<Utc>,
        /// When a worker first claimed the run.
        started_at: Option<DateTime<Utc>>,
        /// When the run ended.
        finished_at: Option<DateTime<Utc>>,
        /// The last ten attempts, oldest first.
        attempts: Vec<Attempt> = all(run.attempts),
    } else run.row
}

body! {
    /// One attempt at a run.
    Attempt from attempt: export::Attempt {
        /// The attempt's number, starting at 1.
        attempt: i32,
        /// Id of the worker; a worker gets a new one at every start.
        worker: String,
        /// When the worker claimed the run.
        started_at: DateTime<Utc>,
        /// Null while the attempt is running.
        ended_at: Option<DateTime<Utc>>,
        /// `completed`, `failed`, `handed_back` (stopped in order, for another worker or a cancel) or `lease_expired`.
        outcome: Option<String>,
        /// Why the attempt did not complete: a code from the page about errors.
        error_kind: Option<String>,
        /// The original error text, one line.
        error_message: Option<String>,
        /// Version of DiscordChatExporter.
        dce_version: Option<String>,
        /// Exit code of DiscordChatExporter; null if a signal ended it or it never ran.
        exit_code: Option<i32>,
        /// The end of its stderr, if it failed, without the token.
        stderr_tail: Option<String>,
    }
}
