//! The statements that read pages.
//!
//! Ids are compared as numbers: by their length, then by their digits. The order is that of the index `messages_by_time`,
//! refined among messages of the same time. Each statement has bounds of time, because the index contains only those.

use sqlx::{Postgres, QueryBuilder};

use super::bounds::{KeyRange, TIME_STEP};
use super::columns::Column;
use super::query::{Has, MessageFilters, Position, SortOrder};
use crate::ids::Snowflake;
use crate::store::reading::like::contains_pattern;

/// Reads messages in order, at most so many. The first columns are the position.
pub(super) fn page(
    range: &KeyRange,
    filters: &MessageFilters,
    order: SortOrder,
    columns: &[Column],
    at_most: i64,
) -> QueryBuilder<Postgres> {
    page_where("channel_id = ", range, filters, order, columns, at_most)
}

/// Reads the same page by an index on the text of the whole archive.
pub(super) fn page_by_text_index(
    range: &KeyRange,
    filters: &MessageFilters,
    order: SortOrder,
    columns: &[Column],
    at_most: i64,
) -> QueryBuilder<Postgres> {
    // An expression instead of the column, so that only the index on the text can be used: for a channel that is newer
    // than the statistics any other one would seem better.
    page_where("channel_id || '' = ", range, filters, order, columns, at_most)
}

fn page_where(
    is_channel: &'static str,
    range: &KeyRange,
    filters: &MessageFilters,
    order: SortOrder,
    columns: &[Column],
    at_most: i64,
) -> QueryBuilder<Postgres> {
    let mut sql = select(columns);
    sql.push(" FROM messages WHERE ").push(is_channel).push_bind(range.channel_id.to_string());
    within(&mut sql, range, order);
    matching(&mut sql, filters);
    in_order(&mut sql, order, at_most);
    sql
}

/// Reads the time at which the next so many messages end, and their number, by the index alone.
pub(super) fn window(range: &KeyRange, order: SortOrder, at_most: i64) -> QueryBuilder<Postgres> {
    let end = match order {
        SortOrder::Asc => "max",
        SortOrder::Desc => "min",
    };
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(end)
        .push(r#"(w."timestamp"), count(*) FROM (SELECT "timestamp" FROM messages WHERE channel_id = "#);
    sql.push_bind(range.channel_id.to_string());
    within_time(&mut sql, range, order);
    sql.push(r#" ORDER BY "timestamp""#).push(direction(order));
    sql.push(" LIMIT ").push_bind(at_most).push(") w");
    sql
}

/// Reads one message.
pub(super) fn message(
    channel_id: Snowflake,
    message_id: Snowflake,
    columns: &[Column],
) -> QueryBuilder<Postgres> {
    let mut sql = select(columns);
    one(&mut sql, channel_id, message_id);
    sql
}

/// Reads the times of those messages that are archived.
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

/// Selects one message in the order of the primary key, so that no other index is used: for a channel that is newer than
/// the statistics each index seems to find a message at once.
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

fn within(sql: &mut QueryBuilder<Postgres>, range: &KeyRange, order: SortOrder) {
    within_time(sql, range, order);
    for (id, comparison) in [(range.from_id, ">="), (range.to_id, "<=")] {
        if let Some(id) = id {
            sql.push(r#" AND (length(message_id), message_id COLLATE "C") "#).push(comparison);
            numbered(sql.push(" ("), id).push(")");
        }
    }
    if let Some(Position { timestamp, message_id }) = range.after {
        sql.push(r#" AND ("timestamp", length(message_id), message_id COLLATE "C") "#);
        sql.push(match order {
            SortOrder::Asc => "> (",
            SortOrder::Desc => "< (",
        });
        sql.push_bind(timestamp).push(", ");
        numbered(sql, message_id).push(")");
    }
}

/// The bounds that the index contains.
fn within_time(sql: &mut QueryBuilder<Postgres>, range: &KeyRange, order: SortOrder) {
    let after = range.after.map(|position| match order {
        _ if position != Position::end_of(position.timestamp, order) => position.timestamp,
        SortOrder::Asc => position.timestamp + TIME_STEP,
        SortOrder::Desc => position.timestamp - TIME_STEP,
    });
    let (from, to) = match order {
        SortOrder::Asc => (range.from.max(after), range.to),
        SortOrder::Desc => (range.from, [range.to, after].into_iter().flatten().min()),
    };
    if let Some(from) = from {
        sql.push(r#" AND "timestamp" >= "#).push_bind(from);
    }
    if let Some(to) = to {
        sql.push(r#" AND "timestamp" <= "#).push_bind(to);
    }
}

fn matching(sql: &mut QueryBuilder<Postgres>, filters: &MessageFilters) {
    if let Some(author_id) = filters.author_id {
        sql.push(" AND author_id = ").push_bind(author_id.to_string());
    }
    if let Some(text) = &filters.text {
        sql.push(" AND content ILIKE ").push_bind(contains_pattern(text));
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

fn in_order(sql: &mut QueryBuilder<Postgres>, order: SortOrder, at_most: i64) {
    let direction = direction(order);
    sql.push(r#" ORDER BY "timestamp""#).push(direction);
    sql.push(", length(message_id)").push(direction);
    sql.push(r#", message_id COLLATE "C""#).push(direction);
    sql.push(" LIMIT ").push_bind(at_most);
}

const fn direction(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Asc => "",
        SortOrder::Desc => " DESC",
    }
}

/// Binds the two values by which an id is compared.
fn numbered(sql: &mut QueryBuilder<Postgres>, id: Snowflake) -> &mut QueryBuilder<Postgres> {
    let id = id.to_string();
    let digits = i32::try_from(id.len()).unwrap_or(i32::MAX);
    sql.push_bind(digits).push(", ").push_bind(id)
}
