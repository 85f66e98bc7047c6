//! One export in full.

use chrono::{DateTime, Utc};
use dce_core::store::reading::export;
use uuid::Uuid;

use super::blocker::Blocker;
use super::progress::Progress;
use super::{all, body};

body! {
    /// An export with its runs; field names are column names.
    ExportWithRuns from export: export::ExportWithRuns {
        /// Its id.
        job_id: Uuid,
        /// `pending`, `running`, `completed`, `failed` or `cancelled`: derived from the runs.
        status: String,
        /// The only channel of a single-channel export.
        channel_id: Option<String>,
        /// From this moment on.
        start_at: Option<DateTime<Utc>>,
        /// Up to this moment, exclusive.
        end_at: Option<DateTime<Utc>>,
        /// `Json`.
        format: String,
        /// Whether attachments are downloaded.
        media: bool,
        /// What else was asked for.
        #[schema(value_type = Object)]
        options: serde_json::Value,
        /// Messages read and committed.
        message_count: i64 = export::total(&export.runs, |run| run.message_count),
        /// New ones among them.
        inserted_count: i64 = export::total(&export.runs, |run| run.inserted_count),
        /// Changed ones among them.
        updated_count: i64 = export::total(&export.runs, |run| run.updated_count),
        /// Messages with characters that Postgres cannot hold, replaced by U+FFFD.
        repaired_count: i64 = export::total(&export.runs, |run| run.repaired_count),
        /// Bytes of DCE's output read so far.
        bytes_read: i64 = export::total(&export.runs, |run| run.bytes_read),
        /// How far it has come, and how fast.
        progress: Progress = Progress::new(&export.runs),
        /// Why none of its runs that are due starts, if somebody has to do something about it; null while they wait for their
        /// turn, and when none is due.
        waiting: Option<Blocker> = export.blocker.map(Into::into),
        /// From the first claim to the end; null until then.
        duration_ms: Option<i64>,
        /// Of the first failed run: `code`, `message` (what happened), `action` (what to do), `channel_id`.
        #[schema(value_type = Option<Object>)]
        error: Option<serde_json::Value>,
        /// Those of its runs, each with its `channel_id`.
        #[schema(value_type = Vec<Object>)]
        warnings: serde_json::Value = export::warnings(&export.runs),
        /// The request that created it.
        request_id: Option<String>,
        /// Name of the API key.
        requested_by: Option<String>,
        /// Rises with every change of state.
        version: i64,
        /// When a cancel was asked for.
        cancel_requested_at: Option<DateTime<Utc>>,
        /// When it was submitted.
        created_at: DateTime<Utc>,
        /// First claim of any run.
        started_at: Option<DateTime<Utc>>,
        /// When the last run ended.
        finished_at: Option<DateTime<Utc>>,
        /// One for each channel.
        runs: Vec<Run> = all(export.runs),
    } else export.row
}

body! {
    /// One channel of an export.
    Run from run: export::RunWithAttempts {
        /// Its id.
        id: Uuid,
        /// `channel`, `discovery` or `import`.
        kind: String,
        /// The file that an import reads, as it was named; for an archive's member `archive.zip!/member`.
        #[serde(skip_serializing_if = "String::is_empty")]
        source: String,
        /// The channel or thread.
        channel_id: Option<String>,
        /// Where it stands.
        status: String,
        /// Tries so far.
        attempt: i32,
        /// Failures in a row without progress.
        failures: i32,
        /// At so many it is given up; 0 for an import, which is tried once.
        max_attempts: i32,
        /// While it waits after a failure: not before.
        next_attempt_at: Option<DateTime<Utc>>,
        /// Messages read and committed.
        message_count: i64,
        /// New ones among them.
        inserted_count: i64,
        /// Changed ones among them.
        updated_count: i64,
        /// Repaired ones among them.
        repaired_count: i64,
        /// Bytes of DCE's output read so far.
        bytes_read: i64,
        /// The oldest message read.
        first_message_id: Option<String>,
        /// The newest message read.
        last_message_id: Option<String>,
        /// When that one was written.
        newest_at: Option<DateTime<Utc>>,
        /// The last failure: `code`, `message` (what happened), `action` (what to do), `retryable`.
        #[schema(value_type = Option<Object>)]
        error: Option<serde_json::Value>,
        /// What deserves a look.
        #[schema(value_type = Vec<Object>)]
        warnings: serde_json::Value,
        /// With its export.
        created_at: DateTime<Utc>,
        /// First claim.
        started_at: Option<DateTime<Utc>>,
        /// When it ended.
        finished_at: Option<DateTime<Utc>>,
        /// The last ten tries, the oldest of them first.
        attempts: Vec<Attempt> = all(run.attempts),
    } else run.row
}

body! {
    /// One try at a run.
    Attempt from attempt: export::Attempt {
        /// Its number, from 1 on.
        attempt: i32,
        /// The worker's id, new at every start of its process.
        worker: String,
        /// The claim.
        started_at: DateTime<Utc>,
        /// Null while it goes on.
        ended_at: Option<DateTime<Utc>>,
        /// `completed`, `failed`, `handed_back` (stopped in order, for another worker or a cancel) or `lease_expired`.
        outcome: Option<String>,
        /// Why it did not complete: a code of the page about errors.
        error_kind: Option<String>,
        /// One line about it, in the words of whoever met it.
        error_message: Option<String>,
        /// Which DiscordChatExporter ran.
        dce_version: Option<String>,
        /// Its exit code; null where a signal ended it or it never ran.
        exit_code: Option<i32>,
        /// The end of what it said on stderr, if it failed; without the token.
        stderr_tail: Option<String>,
    }
}
