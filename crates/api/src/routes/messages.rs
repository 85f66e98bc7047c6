//! Messages of channels and of exports: pages, streams, single ones.

use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::ids::Snowflake;
use dce_core::store::reading;
use dce_core::store::reading::messages::{self, Row, Source};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{channels, exports};
use crate::problem::{Code, Problem};
use crate::reading::form::Form;
use crate::reading::parameters::{self, Parameters};
use crate::reading::{page, rows, stream};
use crate::state::{AppState, in_time};

/// An archived message. Which members it has is a matter of `fields`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    clippy::struct_field_names,
    reason = "a description: messages are written as they come from the database"
)]
pub(crate) struct Message {
    /// The channel or thread.
    channel_id: String,
    /// Its id, unique in its channel.
    message_id: String,
    /// Its author's id.
    author_id: Option<String>,
    /// The author's name as it was at the export.
    author_name: Option<String>,
    /// Its text.
    content: Option<String>,
    /// When it was sent.
    timestamp: chrono::DateTime<chrono::Utc>,
    /// Its files, as DiscordChatExporter describes them.
    attachments: Option<Vec<Value>>,
    /// Its embeds, as DiscordChatExporter describes them.
    embeds: Option<Vec<Value>>,
    /// The whole message as DiscordChatExporter wrote it; in a list only if `fields` names it.
    raw: Option<Value>,
    /// The export that inserted it.
    job_id: Option<uuid::Uuid>,
    /// When DiscordChatExporter wrote it.
    exported_at: Option<chrono::DateTime<chrono::Utc>>,
    /// When it was inserted.
    inserted_at: chrono::DateTime<chrono::Utc>,
    /// When an export found that Discord no longer has it; null: it is there, or nobody looked.
    missing_since: Option<chrono::DateTime<chrono::Utc>>,
}

/// A page of messages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a description: pages are written as they come from the database")]
pub(crate) struct Messages {
    /// In the order asked for; messages of one moment by their ids.
    messages: Vec<Message>,
    /// For the next page; null: there is none. A page may have fewer messages than `limit`, even none, and yet a next one: it
    /// ends early when it has 8 MB, or has searched for 5 s.
    next_cursor: Option<String>,
}

/// Read a channel
///
/// Messages in the order of time: a page as JSON, or everything at once as NDJSON or CSV, whichever `Accept` asks for. A
/// stream that breaks off ends without the last chunk of its transfer encoding: clients report it as incomplete.
#[utoipa::path(get, path = "/channels/{channel_id}/messages", tag = "archive",
    params(
        ("channel_id" = String, Path, description = "The channel or thread."),
        parameters::MessageQuery,
    ),
    responses(
        (status = 200, description = "A page, or everything.",
         content((Messages = "application/json", example = json!({ "messages": [example()], "next_cursor": null })),
                 (String = "application/x-ndjson", example = json!("{\"message_id\":\"1257995922097307849\",\"content\":\"Hello\"}\n")),
                 (String = "text/csv", example = json!("message_id,content\r\n1257995922097307849,Hello\r\n"))),
         headers(("Link" = String, description = "The next page, as `rel=\"next\"`; not there on the last one, nor in a stream."))),
        (status = 404, description = "`channel_not_found`"),
        (status = 406, description = "`not_acceptable`"),
        (status = 422, description = "`validation_failed`"),
    ))]
pub(crate) async fn of_channel(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let channel_id = channels::known(&path)?;
    let parameters = Parameters::of(&request)?;
    let sources = messages::channel_source(channel_id);
    let (response, is_empty) = read(&request, &parameters, sources, &state).await?;
    if is_empty && parameters.is_first() {
        let channel = in_time(reading::channels::find(&state.pool, channel_id)).await?;
        channel.ok_or_else(channels::not_found)?;
    }
    Ok(response)
}

/// Read what an export covers
///
/// The messages of the channels of its runs between the first and the last one that each has read, whichever export
/// inserted them; channel after channel. While the export goes on there are more and more of them.
#[utoipa::path(get, path = "/exports/{job_id}/messages", tag = "archive",
    params(
        ("job_id" = uuid::Uuid, Path, description = "The export."),
        parameters::MessageQuery,
    ),
    responses(
        (status = 200, description = "A page, or everything.",
         content((Messages = "application/json", example = json!({ "messages": [example()], "next_cursor": null })),
                 (String = "application/x-ndjson", example = json!("{\"message_id\":\"1257995922097307849\",\"content\":\"Hello\"}\n")),
                 (String = "text/csv", example = json!("message_id,content\r\n1257995922097307849,Hello\r\n"))),
         headers(("Link" = String, description = "The next page, as `rel=\"next\"`; not there on the last one, nor in a stream."))),
        (status = 404, description = "`export_not_found`"),
        (status = 406, description = "`not_acceptable`"),
        (status = 422, description = "`validation_failed`"),
    ))]
pub(crate) async fn of_export(
    request: HttpRequest,
    path: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let job_id = exports::known(&path)?;
    let parameters = Parameters::of(&request)?;
    let sources = in_time(messages::export_sources(&state.pool, job_id)).await?;
    let sources = sources.ok_or_else(exports::not_found)?;
    Ok(read(&request, &parameters, sources, &state).await?.0)
}

/// Look at a message
///
/// With everything that is known of it, `raw` included.
#[utoipa::path(get, path = "/channels/{channel_id}/messages/{message_id}", tag = "archive",
    params(
        ("channel_id" = String, Path, description = "The channel or thread."),
        ("message_id" = String, Path, description = "The message."),
    ),
    responses(
        (status = 200, description = "The message.", body = Message, example = example),
        (status = 404, description = "`message_not_found`"),
    ))]
pub(crate) async fn show(
    path: web::Path<(String, String)>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::new(Code::MessageNotFound, "No such message is archived of this channel.");
    let (channel_id, message_id) = &*path;
    let id = |text: &str| text.parse::<Snowflake>().map_err(|_| not_found());
    let (channel_id, message_id) = (id(channel_id)?, id(message_id)?);
    let sessions = state.archive.sessions.clone();
    let found = state.archive.read(async move {
        let mut body = Vec::new();
        let mut take = |row: &Row<'_>| {
            rows::json(&mut body, row)?;
            Ok(body.len())
        };
        let is_there = messages::read_message(&sessions, channel_id, message_id, &mut take).await?;
        Ok(is_there.then_some(body))
    });
    let body = found.await?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

/// The answer, and whether it says that there is nothing at all.
async fn read(
    request: &HttpRequest,
    parameters: &Parameters,
    sources: Vec<Source>,
    state: &AppState,
) -> Result<(HttpResponse, bool), Problem> {
    let reader = parameters.reader(sources)?;
    if parameters.form == Form::Json {
        let page = page::answer(request, parameters, &state.archive, reader).await?;
        Ok((page.response, page.is_empty))
    } else {
        let stream = stream::answer(request, parameters, &state.archive, reader).await?;
        Ok((stream.response, stream.is_empty))
    }
}

fn example() -> Value {
    json!({ "channel_id": "900000000000001004", "message_id": "1257995922097307849",
            "author_id": "400000000000000001", "author_name": "alice", "content": "Hello",
            "timestamp": "2024-07-03T09:46:40.262Z", "attachments": [], "embeds": [],
            "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "exported_at": "2026-11-23T08:38:01.247217Z",
            "inserted_at": "2026-11-23T08:38:02.101325Z", "missing_since": null })
}
