//! `/channels`: archived channels and threads.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use dce_core::ids::Snowflake;
use dce_core::store::reading::channels::{self, ChannelFilters};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::pagination::{CURSOR, encode_cursor, link_next_page, read_cursor, truncate};
use crate::problem::{Code, Problem};
use crate::query_string::QueryString;
use crate::state::{AppState, in_time};
use crate::wire::all;
use crate::wire::channel::Channel;

/// Kind of this list's cursors.
const CURSOR_KIND: &str = "channels.1";
/// Default number of channels on a page.
const DEFAULT_LIMIT: u32 = 100;
/// Maximum length of a search text, in characters.
const MAX_TEXT: usize = 200;

/// A page of channels.
#[derive(Serialize, ToSchema)]
pub(super) struct Channels {
    /// Ordered by id.
    channels: Vec<Channel>,
    /// Cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// List archived channels
///
/// Channels and threads with archived messages, ordered by id.
#[utoipa::path(get, path = "/channels", tag = "archive",
    params(
        ("guild_id" = Option<String>, Query, description = "Only channels of this guild; `0`: direct messages."),
        ("q" = Option<String>, Query, description = "Only channels whose name contains this text, ignoring case; 1 to 200 characters."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Number of channels on a page; default 100."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the previous page."),
    ),
    responses(
        (status = 200, description = "A page of channels.", body = Channels,
         headers(("Link" = String, description = "The next page, as `rel=\"next\"`; absent on the last one.")),
         example = json!({ "channels": [example()], "next_cursor": null })),
    ))]
pub(super) async fn list(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut query = QueryString::read(&request, &[CURSOR, "guild_id", "q", "limit"])?;
    let filters = ChannelFilters { guild_id: query.id("guild_id"), name: query.text("q", MAX_TEXT) };
    let limit = query.number("limit", 1..=1000).unwrap_or(DEFAULT_LIMIT);
    let after: Option<Snowflake> = read_cursor(&mut query, CURSOR_KIND);
    query.finish()?;
    let found = channels::list(&state.pool, &filters, after, i64::from(limit) + 1);
    let mut channels = in_time(found).await?;
    let last = truncate(&mut channels, limit);
    let next_cursor = last.map(|channel| encode_cursor(CURSOR_KIND, &channel.channel_id));
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next_cursor {
        link_next_page(&mut response, &request, cursor);
    }
    Ok(response.json(Channels { channels: all(channels), next_cursor }))
}

/// Get an archived channel
#[utoipa::path(get, operation_id = "show", path = "/channels/{channel_id}", tag = "archive",
    responses((status = 200, description = "The channel.", body = Channel, example = example)))]
pub(super) async fn get(
    ChannelId(channel_id): ChannelId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let channel = in_time(channels::find(&state.pool, channel_id)).await?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(Channel::from(channel)))
}

/// Extracts the channel id from the path. Any text that is not an id names no channel.
pub(super) struct ChannelId(pub(super) Snowflake);

impl FromRequest for ChannelId {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let text = web::Path::<String>::from_request(request, payload).into_inner();
        ready(text.ok().and_then(|text| text.parse().ok()).map(Self).ok_or_else(not_found))
    }
}

pub(super) fn not_found() -> Problem {
    Problem::new(Code::ChannelNotFound, "No message of this channel is archived.")
}

fn example() -> serde_json::Value {
    json!({ "channel_id": "900000000000001004", "guild_id": "900000000000000001", "guild_name": "Test Guild",
            "name": "general", "type": "GuildTextChat", "topic": null, "category_id": "900000000000001012",
            "category": "Text", "archived_count": 2384, "covered_to_id": "1257995922097307849",
            "updated_at": "2026-11-23T08:38:01.247217Z" })
}
