//! The statements that read pages.
//!
//! Ids are compared as numbers: by their length, then by their digits. The order is that of the index `messages_by_time`,
//! refined among messages of one moment. Each statement has bounds of time, because those are what the index knows.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};

use super::edges::MOMENT;
use super::{Column, Filters, Has, Order, Position};
use crate::ids::Snowflake;

/// What is read of one channel: its bounds, by ids and by time, and where it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) channel_id: Snowflake,
    /// Only ids from this one on.
    pub(super) from_id: Option<Snowflake>,
    /// Only ids up to this one.
    pub(super) to_id: Option<Snowflake>,
    /// Only from this moment on.
    pub(super) from: Option<DateTime<Utc>>,
    /// Only up to this moment.
    pub(super) to: Option<DateTime<Utc>>,
    /// Only behind this position, in the order of reading.
    pub(super) behind: Option<Position>,
}

/// Messages in order, at most so many; the first columns are the position.
pub(super) fn page(
    stretch: &Stretch,
    filters: &Filters,
    order: Order,
    columns: &[Column],
    at_most: i64,
) -> QueryBuilder<Postgres> {
    let mut sql = select(columns);
    sql.push(" FROM messages WHERE channel_id = ").push_bind(stretch.channel_id.to_string());
    within(&mut sql, stretch, order);
    matching(&mut sql, filters);
    in_order(&mut sql, order, at_most);
    sql
}

/// The moment at which the next so many messages end, and how many there are: by the index alone.
pub(super) fn window(stretch: &Stretch, order: Order, at_most: i64) -> QueryBuilder<Postgres> {
    let end = match order {
        Order::Asc => "max",
        Order::Desc => "min",
    };
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(end)
        .push(r#"(w."timestamp"), count(*) FROM (SELECT "timestamp" FROM messages WHERE channel_id = "#);
    sql.push_bind(stretch.channel_id.to_string());
    within_time(&mut sql, stretch, order);
    sql.push(r#" ORDER BY "timestamp""#).push(direction(order));
    sql.push(" LIMIT ").push_bind(at_most).push(") w");
    sql
}

/// The same as a page, of what an index on the text finds in the whole archive.
pub(super) fn found(
    stretch: &Stretch,
    filters: &Filters,
    order: Order,
    columns: &[Column],
    at_most: i64,
) -> QueryBuilder<Postgres> {
    let mut sql = select(columns);
    // Not the column itself, so that no index but that on the text can be used: of a channel that is newer than the
    // statistics any other one would seem better.
    sql.push(" FROM messages WHERE channel_id || '' = ").push_bind(stretch.channel_id.to_string());
    within(&mut sql, stretch, order);
    matching(&mut sql, filters);
    in_order(&mut sql, order, at_most);
    sql
}

/// One message.
pub(super) fn message(
    channel_id: Snowflake,
    message_id: Snowflake,
    columns: &[Column],
) -> QueryBuilder<Postgres> {
    let mut sql = select(columns);
    one(&mut sql, channel_id, message_id);
    sql
}

/// When these messages were sent, of those that are archived.
pub(super) fn times(channel_id: Snowflake, ids: &[Snowflake]) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new("");
    for (number, id) in ids.iter().enumerate() {
        sql.push(if number == 0 { "(" } else { " UNION ALL (" });
        sql.push(r#"SELECT message_id, "timestamp""#);
        one(&mut sql, channel_id, *id);
        sql.push(")");
    }
    sql
}

/// In the order of the key's index, so that no other one is used: of a channel that is newer than the statistics any one
/// seems to find a message at once.
fn one(sql: &mut QueryBuilder<Postgres>, channel_id: Snowflake, message_id: Snowflake) {
    sql.push(" FROM messages WHERE channel_id = ").push_bind(channel_id.to_string());
    let id = message_id.to_string();
    sql.push(" AND message_id BETWEEN ").push_bind(id.clone()).push(" AND ").push_bind(id);
    sql.push(" ORDER BY message_id LIMIT 1");
}

fn select(columns: &[Column]) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(r#"SELECT "timestamp", message_id"#);
    for column in columns {
        sql.push(r#", ""#).push(column.name()).push('"');
    }
    sql
}

fn within(sql: &mut QueryBuilder<Postgres>, stretch: &Stretch, order: Order) {
    within_time(sql, stretch, order);
    for (id, comparison) in [(stretch.from_id, ">="), (stretch.to_id, "<=")] {
        if let Some(id) = id {
            sql.push(r#" AND (length(message_id), message_id COLLATE "C") "#).push(comparison);
            numbered(sql.push(" ("), id).push(")");
        }
    }
    if let Some(Position { timestamp, message_id }) = stretch.behind {
        sql.push(r#" AND ("timestamp", length(message_id), message_id COLLATE "C") "#);
        sql.push(match order {
            Order::Asc => "> (",
            Order::Desc => "< (",
        });
        sql.push_bind(timestamp).push(", ");
        numbered(sql, message_id).push(")");
    }
}

/// The bounds that the index knows.
fn within_time(sql: &mut QueryBuilder<Postgres>, stretch: &Stretch, order: Order) {
    let behind = stretch.behind.map(|position| match order {
        _ if position != Position::end_of(position.timestamp, order) => position.timestamp,
        Order::Asc => position.timestamp + MOMENT,
        Order::Desc => position.timestamp - MOMENT,
    });
    let (from, to) = match order {
        Order::Asc => (stretch.from.max(behind), stretch.to),
        Order::Desc => (stretch.from, [stretch.to, behind].into_iter().flatten().min()),
    };
    if let Some(from) = from {
        sql.push(r#" AND "timestamp" >= "#).push_bind(from);
    }
    if let Some(to) = to {
        sql.push(r#" AND "timestamp" <= "#).push_bind(to);
    }
}

fn matching(sql: &mut QueryBuilder<Postgres>, filters: &Filters) {
    if let Some(author_id) = filters.author_id {
        sql.push(" AND author_id = ").push_bind(author_id.to_string());
    }
    if let Some(text) = &filters.text {
        sql.push(" AND content ILIKE ").push_bind(pattern(text));
    }
    for has in &filters.has {
        sql.push(match has {
            Has::Attachment => " AND attachments NOT IN ('[]', 'null')",
            Has::Embed => " AND embeds NOT IN ('[]', 'null')",
            Has::Sticker => " AND raw -> 'stickers' NOT IN ('[]', 'null')",
            Has::Reaction => " AND raw -> 'reactions' NOT IN ('[]', 'null')",
            Has::Link => " AND content ~* 'https?://'",
            Has::Pin => " AND raw ->> 'isPinned' = 'true'",
        });
    }
}

/// For ILIKE: the text itself, anywhere.
pub(super) fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.chars() {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

fn in_order(sql: &mut QueryBuilder<Postgres>, order: Order, at_most: i64) {
    let direction = direction(order);
    sql.push(r#" ORDER BY "timestamp""#).push(direction);
    sql.push(", length(message_id)").push(direction);
    sql.push(r#", message_id COLLATE "C""#).push(direction);
    sql.push(" LIMIT ").push_bind(at_most);
}

const fn direction(order: Order) -> &'static str {
    match order {
        Order::Asc => "",
        Order::Desc => " DESC",
    }
}

/// The two parts by which an id is compared.
fn numbered(sql: &mut QueryBuilder<Postgres>, id: Snowflake) -> &mut QueryBuilder<Postgres> {
    let id = id.to_string();
    let digits = i32::try_from(id.len()).unwrap_or(i32::MAX);
    sql.push_bind(digits).push(", ").push_bind(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ilike_would_interpret_is_literal() {
        assert_eq!(pattern("100%_\\길"), "%100\\%\\_\\\\길%");
    }
}
