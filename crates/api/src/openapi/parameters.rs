//! Parameters by their names, which mean the same on every route: schemas, and the parameters of paths in full.

use serde_json::{Value, json};

/// A Discord id.
pub(super) const ID: &str = "^[0-9]{1,19}$";
/// A time with its offset. The parser accepts some other ways to write one, too.
pub(super) const TIME: &str = "^20(1[6-9]|[2-9][0-9])-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])$";

/// The parameter of a path.
pub(super) fn in_path(name: &str) -> Option<Value> {
    let description = match name {
        "job_id" => "The export.",
        "channel_id" => "The channel or thread.",
        "message_id" => "The message.",
        _ => return None,
    };
    Some(json!({ "in": "path", "name": name, "required": true, "description": description }))
}

/// The schema of a parameter, where it is more than a type.
pub(super) fn schema(name: &str) -> Option<Value> {
    let schema = match name {
        "job_id" => json!({ "type": "string", "format": "uuid" }),
        "channel_id" | "message_id" | "author_id" | "guild_id" => json!({ "type": "string", "pattern": ID }),
        "created_after" | "created_before" => json!({ "type": "string", "pattern": TIME }),
        "after" | "before" => json!({
            "anyOf": [{ "type": "string", "pattern": ID }, { "type": "string", "pattern": TIME }]
        }),
        "cursor" => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 512 }),
        "q" => json!({ "type": "string", "minLength": 1, "maxLength": 200 }),
        "order" => json!({ "type": "string", "enum": ["asc", "desc"], "default": "asc" }),
        "status" => list("pending|running|completed|failed|cancelled"),
        "has" => list("attachment|embed|sticker|reaction|link|pin"),
        "fields" => list(
            "channel_id|message_id|author_id|author_name|content|timestamp|attachments|embeds|raw|job_id|exported_at|\
             inserted_at|missing_since",
        ),
        _ => return None,
    };
    Some(schema)
}

/// One or several of these words, separated by commas.
fn list(words: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({words})(,({words}))*$") })
}

/// One event of a stream as clients read it.
pub(super) fn event() -> Value {
    json!({
        "type": "object",
        "description": "An event. `data` is JSON.",
        "properties": {
            "id": { "type": "string", "pattern": "^[0-9]+-[0-9]+$", "description": "`{version}-{bytes_read}`; only grows." },
            "event": { "type": "string", "enum": ["snapshot", "state"] },
            "data": { "type": "string", "contentMediaType": "application/json" },
            "retry": { "type": "integer", "description": "Milliseconds after which to reconnect." }
        },
        "required": ["event", "data"]
    })
}
