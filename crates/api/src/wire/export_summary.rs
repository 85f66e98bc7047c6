//! An export in a list.

use chrono::{DateTime, Utc};
use dce_core::store::reading::export_list;
use uuid::Uuid;

use super::body;

body! {
    /// An export without its runs; field names are column names.
    ExportSummary from export: export_list::ExportSummary {
        /// Its id.
        job_id: Uuid,
        /// `pending`, `running`, `completed`, `failed` or `cancelled`.
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
        /// Messages read and committed, also of runs that are going on.
        message_count: i64,
        /// New ones among them.
        inserted_count: i64,
        /// Changed ones among them.
        updated_count: i64,
        /// From the first claim to the end, in milliseconds; null until then.
        duration_ms: Option<i64>,
        /// Of the first failed run: `code`, `message`, `action`, `channel_id`.
        #[schema(value_type = Option<Object>)]
        error: Option<serde_json::Value>,
        /// Those of its runs, each with its `channel_id`, as of its last change of state.
        #[schema(value_type = Vec<Object>)]
        warnings: serde_json::Value,
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
    }
}
