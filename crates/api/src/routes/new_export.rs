//! The body of `POST /exports` as documentation describes it; `dce_core::export::request` reads it.

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

/// What to export. `null` is the same as absent; unknown fields are refused.
#[expect(dead_code, reason = "only its shape is used: the reader names every mistake at once")]
#[derive(ToSchema)]
#[schema(as = NewExport)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExportBody {
    /// A channel or thread. Without one: `DEFAULT_CHANNEL_ID`.
    #[schema(pattern = "^[0-9]{1,19}$", example = "900000000000001004")]
    channel_id: Option<String>,
    /// Several of them, instead of `channel_id`; one named twice counts once.
    #[schema(min_items = 1, max_items = 500)]
    channel_ids: Option<Vec<String>>,
    /// Only messages from this moment on; ISO 8601 with an offset, 2015 at the earliest.
    start_at: Option<DateTime<Utc>>,
    /// Only messages before this moment, which lies after `start_at`.
    end_at: Option<DateTime<Utc>>,
    /// Only `Json`: other formats cannot be brought into the database.
    #[schema(pattern = "^Json$", example = "Json")]
    format: Option<String>,
    /// Downloading media is not available yet.
    media: Option<bool>,
    /// `none`: exporting threads with their channel is not available yet.
    #[schema(pattern = "^none$", example = "none")]
    include_threads: Option<String>,
    /// Whether mentions and markup become readable text.
    markdown: Option<bool>,
    /// A filter in DiscordChatExporter's language.
    #[schema(min_length = 1, max_length = 1000)]
    filter: Option<String>,
    /// What becomes of messages that are archived already: they stay (`ignore`), or are replaced if they have changed (`update`).
    #[schema(pattern = "^(ignore|update)$", example = "ignore")]
    on_conflict: Option<String>,
    /// Whether what an update replaces is kept in `message_versions`.
    keep_versions: Option<bool>,
    /// Callbacks are not available yet.
    #[schema(value_type = Option<()>)]
    callback_url: Option<String>,
}
