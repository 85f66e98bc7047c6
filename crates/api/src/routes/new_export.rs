//! The body of `POST /exports` as documentation describes it; `dce_core::export::request` reads it. By hand, because it says
//! more than a type can.

use serde_json::{Value, json};

use crate::openapi::parameters::{ID, TIME};

/// Its name among the schemas.
pub(crate) const NAME: &str = "NewExport";

/// The schema.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What to export. `null` is the same as absent; unknown fields are refused.",
        "additionalProperties": false,
        "properties": {
            "channel_id": {
                "type": ["string", "null"], "pattern": ID, "examples": ["900000000000001004"],
                "description": "A channel or thread. Without one: `DEFAULT_CHANNEL_ID`."
            },
            "channel_ids": {
                "type": ["array", "null"], "minItems": 1, "maxItems": 500, "items": { "type": "string", "pattern": ID },
                "description": "Several of them, instead of `channel_id`; one named twice counts once."
            },
            "start_at": {
                "type": ["string", "null"], "pattern": TIME, "examples": ["2024-07-03T18:50:40+09:00"],
                "description": "Only messages from this moment on: ISO 8601 with an offset, 2015 at the earliest."
            },
            "end_at": {
                "type": ["string", "null"], "pattern": TIME, "examples": ["2024-08-01T00:00:00Z"],
                "description": "Only messages before this moment, which lies after `start_at`."
            },
            "format": {
                "enum": ["Json", null], "default": "Json",
                "description": "Other formats cannot be brought into the database."
            },
            "media": {
                "enum": [false, null], "default": false,
                "description": "Downloading media is not available yet."
            },
            "include_threads": {
                "enum": ["none", null], "default": "none",
                "description": "Exporting threads with their channel is not available yet: name them as channels."
            },
            "markdown": {
                "type": ["boolean", "null"], "default": false,
                "description": "Whether mentions and markup become readable text."
            },
            "filter": {
                "type": ["string", "null"], "minLength": 1, "maxLength": 1000, "examples": ["from:birch has:link"],
                "description": "A filter in DiscordChatExporter's language: not blank, without control characters, and not \
                                beginning like an option (`-x`, `--x`; write `~` to negate)."
            },
            "on_conflict": {
                "enum": ["ignore", "update", null], "default": "ignore",
                "description": "What becomes of messages that are archived already: they stay, or are replaced if they have changed."
            },
            "keep_versions": {
                "type": ["boolean", "null"], "default": false,
                "description": "Whether what an update replaces is kept in the table `message_versions`; needs `on_conflict: \"update\"`."
            },
            "callback_url": { "type": "null", "description": "Callbacks are not available yet." }
        },
        "not": {
            "required": ["channel_id", "channel_ids"],
            "properties": { "channel_id": { "type": "string" }, "channel_ids": { "type": "array" } }
        },
        "if": { "required": ["keep_versions"], "properties": { "keep_versions": { "const": true } } },
        "then": { "required": ["on_conflict"], "properties": { "on_conflict": { "const": "update" } } }
    })
}
