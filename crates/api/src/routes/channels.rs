//! `/channels`: what is archived.

use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::ids::Snowflake;
use dce_core::store::reading::channels::{self, ChannelFilters};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::cursor::{self, CURSOR};
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::reading::next_page;
use crate::state::{AppState, in_time};
use crate::wire::all;
use crate::wire::channel::Channel;

/// The list that cursors are of, and their version.
const KIND: &str = "channels.1";
/// Channels of a page when the request does not say.
const DEFAULT_PAGE: u32 = 100;
/// Longest text to look for.
const MAX_TEXT: usize = 200;

/// A page of channels.
#[derive(Serialize, ToSchema)]
pub(crate) struct Channels {
    /// In the order of their ids.
    channels: Vec<Channel>,
    /// For the next page; null: there is none.
    next_cursor: Option<String>,
}

/// List archived channels
///
/// Channels and threads of which something is archived, in the order of their ids.
#[utoipa::path(get, path = "/channels", tag = "archive",
    params(
        ("guild_id" = Option<String>, Query, description = "Only channels of this server; `0`: direct messages."),
        ("q" = Option<String>, Query, description = "Only channels with this in their name, in whatever case; 1 to 200 characters."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Channels of a page; 100 unless told."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = Channels,
         headers(("Link" = String, description = "The next page, as `rel=\"next\"`; not there on the last one.")),
         example = json!({ "channels": [example()], "next_cursor": null })),
        (status = 422, description = "`validation_failed`"),
    ))]
pub(crate) async fn list(request: HttpRequest, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &[CURSOR, "guild_id", "q", "limit"])?;
    let filters = ChannelFilters { guild_id: query.id("guild_id"), name: query.text("q", MAX_TEXT) };
    let limit = query.number("limit", 1..=1000).unwrap_or(DEFAULT_PAGE);
    let behind: Option<Snowflake> = cursor::read(&mut query, KIND);
    query.finish()?;
    // One more, to see whether there is a next page.
    let found = channels::list(&state.pool, &filters, behind, i64::from(limit) + 1);
    let mut channels = in_time(found).await?;
    let has_more = channels.len() > limit as usize;
    channels.truncate(limit as usize);
    let last = channels.last().filter(|_| has_more);
    let next_cursor = last.map(|channel| cursor::encode(KIND, &channel.channel_id));
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &next_cursor {
        next_page::link(&mut response, &request, cursor);
    }
    Ok(response.json(Channels { channels: all(channels), next_cursor }))
}

/// Look at an archived channel
#[utoipa::path(get, path = "/channels/{channel_id}", tag = "archive",
    params(("channel_id" = String, Path, description = "The channel or thread.")),
    responses(
        (status = 200, description = "What is known of it.", body = Channel, example = example),
        (status = 404, description = "`channel_not_found`"),
    ))]
pub(crate) async fn show(
    path: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let channel_id = known(&path)?;
    let channel = in_time(channels::find(&state.pool, channel_id)).await?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(Channel::from(channel)))
}

/// The id in the path: what is none is the id of nothing.
pub(crate) fn known(channel_id: &str) -> Result<Snowflake, Problem> {
    channel_id.parse().map_err(|_| not_found())
}

/// Nothing is archived of it.
pub(crate) fn not_found() -> Problem {
    Problem::new(Code::ChannelNotFound, "Nothing is archived of this channel.")
}

fn example() -> serde_json::Value {
    json!({ "channel_id": "900000000000001004", "guild_id": "900000000000000001", "guild_name": "Test Guild",
            "name": "general", "type": "GuildTextChat", "topic": null, "category_id": "900000000000001012",
            "category": "Text", "archived_count": 2384, "covered_to_id": "1257995922097307849",
            "updated_at": "2026-11-23T08:38:01.247217Z" })
}
