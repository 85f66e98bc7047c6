//! What a request for messages asks for: its query, read strictly.

use actix_web::HttpRequest;
use chrono::{DateTime, SubsecRound, Utc};
use dce_core::export::request::{FaultCode, parse_time};
use dce_core::ids::Snowflake;
use dce_core::store::reading::messages::{
    Bound, Column, Has, MessageFilters, PageReader, PageStart, Position, SortOrder, Source,
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::form::Form;
use crate::cursor::{self, CURSOR};
use crate::problem::Problem;
use crate::query::Query;

/// Messages of a page at most, whatever the request says; `next_cursor` leads to the others.
const LARGEST_PAGE: u32 = 1000;
/// The largest number that a request may name, which a client's `int32` holds.
const LARGEST_LIMIT: u32 = i32::MAX.unsigned_abs();
/// Messages of a page when the request does not say.
const DEFAULT_PAGE: u32 = 100;
/// Longest text to look for.
const MAX_TEXT: usize = 200;
/// Longest id or time.
const MAX_EDGE: usize = 40;
/// The list that cursors are of, and their version.
const KIND: &str = "messages.1";

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

/// The query as documentation describes it.
#[expect(dead_code, reason = "a description: `Parameters` reads the query, and names every mistake at once")]
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// Messages of a page, 100 unless told and 1000 at most; of a stream at most, all unless told.
    #[param(minimum = 1, maximum = 2_147_483_647)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with all other parameters as they were; a stream begins there, too.
    cursor: Option<String>,
    /// `asc`: the oldest first (unless told); `desc`: the newest first. Of an export channel after channel, `desc` everything the
    /// other way round.
    order: Option<String>,
    /// Only messages after this one (an id, archived or not), or sent after this time (RFC 3339 with an offset).
    after: Option<String>,
    /// Only messages before this id or time.
    before: Option<String>,
    /// Only messages of this author.
    author_id: Option<String>,
    /// Only messages with this in their text, in whatever case; 1 to 200 characters, all of which are literal.
    q: Option<String>,
    /// Only messages that have all of these, separated by commas: `attachment`, `embed`, `sticker`, `reaction`, `link`, `pin`
    /// (it is pinned).
    has: Option<String>,
    /// Members of each message, separated by commas, in this order; all but `raw` unless told.
    fields: Option<String>,
}

/// Where a page ends, as a client hands it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    order: SortOrder,
    channel_id: Snowflake,
    /// Microseconds since 1970.
    timestamp: i64,
    message_id: Snowflake,
}

/// A request for messages.
#[derive(Debug)]
pub struct Parameters {
    /// The form of the answer.
    pub form: Form,
    /// Messages at most; a stream without one ends with the last message.
    pub limit: Option<u32>,
    /// The columns, in the order asked for.
    pub columns: Vec<Column>,
    filters: MessageFilters,
    order: SortOrder,
    start: Option<PageStart>,
}

impl Parameters {
    /// Reads header and query.
    ///
    /// # Errors
    /// `not_acceptable`, or `validation_failed` with everything that is wrong.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let form = Form::of(request)?;
        let mut query = Query::of(request, &KNOWN)?;
        let parameters = Self::read(&mut query, form);
        query.finish()?;
        Ok(parameters)
    }

    fn read(query: &mut Query, form: Form) -> Self {
        let asked = query.number("limit", 1..=LARGEST_LIMIT);
        let limit = match form {
            Form::Json => Some(asked.unwrap_or(DEFAULT_PAGE).min(LARGEST_PAGE)),
            Form::JsonLines | Form::Csv => asked,
        };
        let order = query.choice("order", &ORDERS).unwrap_or_default();
        let filters = MessageFilters {
            after: edge(query, "after"),
            before: edge(query, "before"),
            author_id: query.id("author_id"),
            text: query.text("q", MAX_TEXT),
            has: query.choices("has", &HAS),
        };
        let mut columns = query.choices("fields", &Column::ALL.map(|column| (column.name(), column)));
        if columns.is_empty() {
            columns.extend(Column::ALL.iter().filter(|column| **column != Column::Raw));
        }
        let start = start(query, order);
        Self { form, limit, columns, filters, order, start }
    }

    /// Whether it is the first page that is asked for.
    pub const fn is_first(&self) -> bool {
        self.start.is_none()
    }

    /// A walk through these sources from where the cursor stands.
    ///
    /// # Errors
    /// `validation_failed` for a cursor of another list.
    pub fn reader(&self, sources: Vec<Source>) -> Result<PageReader, Problem> {
        let (filters, columns) = (self.filters.clone(), self.columns.clone());
        PageReader::new(sources, filters, self.order, columns, self.start).ok_or_else(|| {
            let mut query = Query::default();
            query.fault(CURSOR, FaultCode::InvalidValue, "is of another list: leave it out");
            query.finish().err().unwrap_or_else(|| Vec::new().into())
        })
    }

    /// The cursor for this place.
    pub fn cursor(&self, place: PageStart) -> String {
        let PageStart { channel_id, position: Position { timestamp, message_id } } = place;
        let timestamp = timestamp.timestamp_micros();
        cursor::encode(KIND, &Cursor { order: self.order, channel_id, timestamp, message_id })
    }
}

fn start(query: &mut Query, order: SortOrder) -> Option<PageStart> {
    let Cursor { order: its_order, channel_id, timestamp, message_id } = cursor::read(query, KIND)?;
    let timestamp = DateTime::from_timestamp_micros(timestamp).filter(|_| order == its_order);
    if timestamp.is_none() {
        let detail = "is of a list in the other order: repeat `order` as it was, or leave the cursor out";
        query.fault(CURSOR, FaultCode::InvalidValue, detail);
    }
    Some(PageStart { channel_id, position: Position { timestamp: timestamp?, message_id } })
}

/// A message's id, or a time with an offset.
fn edge(query: &mut Query, name: &'static str) -> Option<Bound> {
    let text = query.text(name, MAX_EDGE)?;
    let edge = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map(Bound::Id).map_err(|error| (FaultCode::InvalidId, format!("{error}")))
    } else {
        // A plus that was not encoded has become a space.
        time(&text.replace(' ', "+")).map(Bound::Time)
    };
    edge.map_err(|(code, detail)| query.fault(name, code, format!("{detail}; a message's id does as well")))
        .ok()
}

/// To the microsecond, as Postgres has it: what a reader of whole milliseconds rounds up would leave out a message.
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
