//! Query parameters of a request for messages, parsed strictly.

use actix_web::HttpRequest;
use chrono::{DateTime, SubsecRound, Utc};
use dce_core::export::request::{FaultCode, parse_time};
use dce_core::ids::Snowflake;
use dce_core::store::reading::messages::{
    Bound, Column, Has, MessageFilters, PageReader, PageStart, Position, SortOrder, Source,
};
use dce_filter::Filter;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::negotiation::MessageFormat;
use crate::pagination::{CURSOR, encode_cursor, read_cursor};
use crate::problem::Problem;
use crate::query_string::QueryString;

/// Maximum number of messages on a page, whatever `limit` is; `next_cursor` leads to the others.
const MAX_PAGE: u32 = 1000;
/// Maximum value of `limit`: it fits a client's `int32`.
const MAX_LIMIT: u32 = i32::MAX.unsigned_abs();
/// Default number of messages on a page.
const DEFAULT_PAGE: u32 = 100;
/// Maximum length of a search text, in characters.
const MAX_TEXT: usize = 200;
/// Maximum length of an id or a time, in characters.
const MAX_BOUND: usize = 40;
/// Kind of this list's cursors.
const CURSOR_KIND: &str = "messages.1";

const KNOWN: [&str; 9] = [CURSOR, "limit", "order", "after", "before", "author_id", "q", "has", "fields"];
const ORDERS: [(&str, SortOrder); 2] = [("asc", SortOrder::Asc), ("desc", SortOrder::Desc)];
const HAS: [(&str, Has); 6] = [
    ("attachment", Has::Attachment),
    ("embed", Has::Embed),
    ("sticker", Has::Sticker),
    ("reaction", Has::Reaction),
    ("link", Has::Link),
    ("pin", Has::Pin),
];

/// The query parameters for the OpenAPI document.
#[expect(
    dead_code,
    reason = "only describes the query: `Parameters` parses it and reports every fault at once"
)]
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Number of messages on a page: default 100, at most 1000. For a stream, the maximum number of messages; default: all.
    #[param(minimum = 1, maximum = 2_147_483_647)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page; all other parameters must be the same. A stream starts there, too.
    cursor: Option<String>,
    /// `asc`: oldest first (default); `desc`: newest first. Messages of an export are ordered channel by channel; `desc`
    /// reverses the order of the channels, too.
    order: Option<String>,
    /// Only messages after this one (an id, archived or not), or sent after this time (RFC 3339 with an offset).
    after: Option<String>,
    /// Only messages before this id or time.
    before: Option<String>,
    /// Only messages of this author.
    author_id: Option<String>,
    /// Only messages whose text contains this text, ignoring case; 1 to 200 characters without wildcards.
    q: Option<String>,
    /// Only messages that have all of these, separated by commas: `attachment`, `embed`, `sticker`, `reaction`, `link`, `pin`
    /// (the message is pinned).
    has: Option<String>,
    /// Members of each message, separated by commas, in this order. Default: all except `raw`.
    fields: Option<String>,
}

/// The content of a cursor: the position where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    order: SortOrder,
    channel_id: Snowflake,
    /// Microseconds since 1970.
    timestamp: i64,
    message_id: Snowflake,
}

#[derive(Debug)]
pub struct Parameters {
    pub format: MessageFormat,
    /// Maximum number of messages; a stream without a limit ends with the last message.
    pub limit: Option<u32>,
    /// The columns in the requested order.
    pub columns: Vec<Column>,
    filters: MessageFilters,
    order: SortOrder,
    start: Option<PageStart>,
}

impl Parameters {
    /// Reads header and query.
    ///
    /// # Errors
    /// `not_acceptable`, or `validation_failed` with all faults.
    pub fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let format = MessageFormat::negotiate(request)?;
        let mut query = QueryString::read(request, &KNOWN)?;
        let parameters = Self::parse(&mut query, format);
        query.finish()?;
        Ok(parameters)
    }

    fn parse(query: &mut QueryString, format: MessageFormat) -> Self {
        let requested = query.number("limit", 1..=MAX_LIMIT);
        let limit = match format {
            MessageFormat::Json => Some(requested.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE)),
            MessageFormat::JsonLines | MessageFormat::Csv => requested,
        };
        let order = query.choice("order", &ORDERS).unwrap_or_default();
        let filters = MessageFilters {
            after: bound(query, "after"),
            before: bound(query, "before"),
            author_id: query.id("author_id"),
            text: query.text("q", MAX_TEXT),
            has: query.choices("has", &HAS),
            export_filter: None,
        };
        let mut columns = query.choices("fields", &Column::ALL.map(|column| (column.name(), column)));
        if columns.is_empty() {
            columns.extend(Column::ALL.iter().filter(|column| **column != Column::Raw));
        }
        let start = start(query, order);
        Self { format, limit, columns, filters, order, start }
    }

    /// Restricts the request to messages that match the filter of their export.
    #[must_use]
    pub fn matching(mut self, filter: Option<Filter>) -> Self {
        self.filters.export_filter = filter;
        self
    }

    /// Whether the request is for the first page.
    pub const fn is_first(&self) -> bool {
        self.start.is_none()
    }

    /// A reader of these sources that starts at the cursor.
    ///
    /// # Errors
    /// `validation_failed` for a cursor of another list.
    pub fn reader(&self, sources: Vec<Source>) -> Result<PageReader, Problem> {
        let (filters, columns) = (self.filters.clone(), self.columns.clone());
        PageReader::new(sources, filters, self.order, columns, self.start).ok_or_else(|| {
            let mut query = QueryString::default();
            query.fault(CURSOR, FaultCode::InvalidValue, "belongs to another list: omit it");
            query.finish().err().unwrap_or_else(|| Vec::new().into())
        })
    }

    /// The cursor for a position.
    pub fn cursor(&self, start: PageStart) -> String {
        let PageStart { channel_id, position: Position { timestamp, message_id } } = start;
        let timestamp = timestamp.timestamp_micros();
        encode_cursor(CURSOR_KIND, &Cursor { order: self.order, channel_id, timestamp, message_id })
    }
}

fn start(query: &mut QueryString, order: SortOrder) -> Option<PageStart> {
    let Cursor { order: its_order, channel_id, timestamp, message_id } = read_cursor(query, CURSOR_KIND)?;
    let timestamp = DateTime::from_timestamp_micros(timestamp).filter(|_| order == its_order);
    if timestamp.is_none() {
        let detail = "belongs to a list in the other order: repeat `order` as before, or omit the cursor";
        query.fault(CURSOR, FaultCode::InvalidValue, detail);
    }
    Some(PageStart { channel_id, position: Position { timestamp: timestamp?, message_id } })
}

/// A message's id, or a time with an offset.
fn bound(query: &mut QueryString, name: &'static str) -> Option<Bound> {
    let text = query.text(name, MAX_BOUND)?;
    let bound = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map(Bound::Id).map_err(|error| (FaultCode::InvalidId, format!("{error}")))
    } else {
        // A plus that was not percent-encoded has become a space.
        time(&text.replace(' ', "+")).map(Bound::Time)
    };
    let report = |(code, detail)| query.fault(name, code, format!("{detail}; a message id is accepted, too"));
    bound.map_err(report).ok()
}

/// Parses a time to the microsecond, the precision of Postgres. Rounding up to milliseconds would skip a message.
fn time(text: &str) -> Result<DateTime<Utc>, (FaultCode, String)> {
    let rounded = parse_time(text)?;
    Ok(DateTime::parse_from_rfc3339(text).map_or(rounded, |time| time.to_utc().trunc_subsecs(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_microseconds() {
        let time = time("2024-07-03T18:50:40.1234567+09:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2024-07-03T09:50:40.123456+00:00");
    }
}
