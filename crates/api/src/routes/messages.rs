//! Messages of a channel or an export: pages, streams and single messages.

use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::ids::Snowflake;
use dce_core::store::reading;
use dce_core::store::reading::messages::{self, ExportSources, Row};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::channels::{self, ChannelId};
use super::exports::job_id::{self, JobId};
use crate::formats::json;
use crate::problem::{Code, Problem};
use crate::reading::parameters::{self, Parameters};
use crate::reading::read;
use crate::state::{AppState, in_time};

/// An archived message. The parameter `fields` decides which members it has.
#[derive(ToSchema)]
#[expect(
    dead_code,
    clippy::struct_field_names,
    reason = "only describes the body: messages are written as they come from the database"
)]
pub(super) struct Message {
    /// The channel or thread.
    channel_id: String,
    /// The message's id, unique in its channel.
    message_id: String,
    author_id: Option<String>,
    /// The author's name at the time of the export.
    author_name: Option<String>,
    content: Option<String>,
    /// When the message was sent.
    timestamp: chrono::DateTime<chrono::Utc>,
    /// Attached files, as DiscordChatExporter describes them.
    attachments: Option<Vec<Value>>,
    /// Embeds, as DiscordChatExporter describes them.
    embeds: Option<Vec<Value>>,
    /// The whole message as DiscordChatExporter wrote it. In a list only if `fields` names it.
    raw: Option<Value>,
    /// The export that inserted the message.
    job_id: Option<uuid::Uuid>,
    /// When DiscordChatExporter wrote the message.
    exported_at: Option<chrono::DateTime<chrono::Utc>>,
    inserted_at: chrono::DateTime<chrono::Utc>,
    /// When an export found that Discord no longer has the message; null: Discord has it, or no export has checked.
    missing_since: Option<chrono::DateTime<chrono::Utc>>,
}

/// A page of messages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes the body: pages are written as they come from the database")]
pub(super) struct Messages {
    /// In the requested order; messages with the same time are ordered by id.
    messages: Vec<Message>,
    /// Cursor of the next page; null on the last one. A page can have fewer messages than `limit`, even none, and still be
    /// followed by another one: it ends early at 8 MB, after a search of 5 s, or after 10,000 messages of which few match the
    /// filter of the export.
    next_cursor: Option<String>,
}

/// Read the messages of a channel
///
/// Messages ordered by time. `Accept` selects the format: a page as JSON, or everything at once as NDJSON or CSV. A stream
/// that fails ends without the last chunk of its transfer encoding, so that clients report it as incomplete.
#[utoipa::path(get, path = "/channels/{channel_id}/messages", tag = "archive",
    params(parameters::MessageQuery),
    responses(
        (status = 200, description = "A page of messages, or all of them.",
         content((Messages = "application/json", example = json!({ "messages": [example()], "next_cursor": null })),
                 (String = "application/x-ndjson", example = json!("{\"message_id\":\"1257995922097307849\",\"content\":\"Hello\"}\n")),
                 (String = "text/csv", example = json!("message_id,content\r\n1257995922097307849,Hello\r\n"))),
         headers(("Link" = String, description = "The next page, as `rel=\"next\"`; absent on the last one and in a stream."))),
        (status = 406, description = "`not_acceptable`"),
    ))]
pub(super) async fn of_channel(
    request: HttpRequest,
    ChannelId(channel_id): ChannelId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::read(&request)?;
    let answer = read(&request, &parameters, messages::channel_source(channel_id), &state.archive).await?;
    if answer.is_empty && parameters.is_first() {
        let channel = in_time(reading::channels::find(&state.pool, channel_id)).await?;
        channel.ok_or_else(channels::not_found)?;
    }
    Ok(answer.response)
}

/// Read the messages of an export
///
/// For each run of the export, the messages of its channel from the first to the last one that the run has read, whichever
/// export inserted them; channel after channel. If the export has a filter, only messages that match it. While the export
/// runs, their number grows.
#[utoipa::path(get, path = "/exports/{job_id}/messages", tag = "archive",
    params(parameters::MessageQuery),
    responses(
        (status = 200, description = "A page of messages, or all of them.",
         content((Messages = "application/json", example = json!({ "messages": [example()], "next_cursor": null })),
                 (String = "application/x-ndjson", example = json!("{\"message_id\":\"1257995922097307849\",\"content\":\"Hello\"}\n")),
                 (String = "text/csv", example = json!("message_id,content\r\n1257995922097307849,Hello\r\n"))),
         headers(("Link" = String, description = "The next page, as `rel=\"next\"`; absent on the last one and in a stream."))),
        (status = 406, description = "`not_acceptable`"),
    ))]
pub(super) async fn of_export(
    request: HttpRequest,
    JobId(job_id): JobId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let parameters = Parameters::read(&request)?;
    let found = in_time(messages::export_sources(&state.pool, job_id)).await?;
    let ExportSources { sources, filter } = found.ok_or_else(job_id::not_found)?;
    Ok(read(&request, &parameters.matching(filter), sources, &state.archive).await?.response)
}

/// Get a message
///
/// With all its members, including `raw`.
#[utoipa::path(get, operation_id = "show", path = "/channels/{channel_id}/messages/{message_id}", tag = "archive",
    responses((status = 200, description = "The message.", body = Message, example = example)))]
pub(super) async fn get(
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let not_found =
        || Problem::new(Code::MessageNotFound, "This channel has no archived message with this id.");
    let (channel_id, message_id) = &*path;
    let id = |text: &str| text.parse::<Snowflake>().map_err(|_| not_found());
    let (channel_id, message_id) = (id(channel_id)?, id(message_id)?);
    let sessions = state.archive.pool.clone();
    let found = state.archive.read(async move {
        let mut body = Vec::new();
        let mut append = |row: &Row<'_>| {
            json::append(&mut body, row)?;
            Ok(body.len())
        };
        let is_found = messages::read_message(&sessions, channel_id, message_id, &mut append).await?;
        Ok(is_found.then_some(body))
    });
    let body = found.await?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

fn example() -> Value {
    json!({ "channel_id": "900000000000001004", "message_id": "1257995922097307849",
            "author_id": "400000000000000001", "author_name": "alice", "content": "Hello",
            "timestamp": "2024-07-03T09:46:40.262Z", "attachments": [], "embeds": [],
            "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "exported_at": "2026-11-23T08:38:01.247217Z",
            "inserted_at": "2026-11-23T08:38:02.101325Z", "missing_since": null })
}
