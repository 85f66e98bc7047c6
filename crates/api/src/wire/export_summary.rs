//! An export in a list.

use chrono::{DateTime, Utc};
use dce_core::store::reading::export_list;
use uuid::Uuid;

use super::body;

body! {
    /// An export without its runs. Field names are column names.
    ExportSummary from export: export_list::ExportSummary {
        job_id: Uuid,
        /// `pending`, `running`, `completed`, `failed` or `cancelled`.
        status: String,
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
        /// Messages read and committed, including those of active runs.
        message_count: i64,
        /// Messages that were new.
        inserted_count: i64,
        /// Messages that had changed and were replaced.
        updated_count: i64,
        /// Milliseconds from the first claim to the end; null until then.
        duration_ms: Option<i64>,
        /// The error of the first failed run: `code`, `message`, `action`, `channel_id`.
        #[schema(value_type = Option<Object>)]
        error: Option<serde_json::Value>,
        /// When Discord confirmed the last run's completeness. Null unless all runs are completed and verified.
        verified_at: Option<DateTime<Utc>>,
        /// The runs' warnings as of the export's last change of state, each with its `channel_id`.
        #[schema(value_type = Vec<Object>)]
        warnings: serde_json::Value,
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
    }
}
