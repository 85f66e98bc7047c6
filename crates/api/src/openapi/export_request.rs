//! Schema of the body of `POST /exports`, which `dce_core::export::request` parses. Written by hand, because it states more
//! than a type can.

use serde_json::{Value, json};

use super::parameters::{ID, TIME};

/// Name among the schemas.
pub(super) const NAME: &str = "NewExport";

pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What to export. `null` means the same as an absent field; unknown fields are refused.",
        "additionalProperties": false,
        "properties": {
            "channel_id": {
                "type": ["string", "null"], "pattern": ID, "examples": ["900000000000001004"],
                "description": "A channel or thread. Default: the service's `DEFAULT_CHANNEL_ID`."
            },
            "channel_ids": {
                "type": ["array", "null"], "minItems": 1, "maxItems": 500, "items": { "type": "string", "pattern": ID },
                "description": "Several channels or threads, instead of `channel_id`. Duplicates count once."
            },
            "start_at": {
                "type": ["string", "null"], "pattern": TIME, "examples": ["2024-07-03T18:50:40+09:00"],
                "description": "Only messages sent at or after this time: ISO 8601 with an offset, 2015 at the earliest."
            },
            "end_at": {
                "type": ["string", "null"], "pattern": TIME, "examples": ["2024-08-01T00:00:00Z"],
                "description": "Only messages sent before this time, which must be later than `start_at`."
            },
            "format": {
                "enum": ["Json", null], "default": "Json",
                "description": "The only format that can be stored in the database."
            },
            "media": {
                "enum": [false, null], "default": false,
                "description": "Downloading media is not available yet."
            },
            "include_threads": {
                "enum": ["none", null], "default": "none",
                "description": "Exporting the threads of a channel with it is not available yet: name them as channels."
            },
            "markdown": {
                "type": ["boolean", "null"], "default": false,
                "description": "Convert mentions and markup to readable text."
            },
            "filter": {
                "type": ["string", "null"], "minLength": 1, "maxLength": 1000, "examples": ["from:birch has:link"],
                "description": "Only messages that match this filter, in DiscordChatExporter's language. It must not be blank or \
                                contain control characters."
            },
            "on_conflict": {
                "enum": ["ignore", "update", null], "default": "ignore",
                "description": "How to treat messages that are archived already: keep them, or replace those that have changed."
            },
            "keep_versions": {
                "type": ["boolean", "null"], "default": false,
                "description": "Keep replaced versions of messages in the table `message_versions`. Requires `on_conflict: \"update\"`."
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
