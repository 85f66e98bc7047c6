//! Marks of messages that Discord no longer has (`messages.missing_since`).

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;

use super::archived::IdRanges;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// Messages that are not missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    pub message_ids: Vec<String>,
    /// The placeholder of the thread's starter, whatever its id is: DCE writes the starter in its place.
    pub placeholder: bool,
}

/// Marks the archived messages in these ranges that do not exist any more, at most so many. Returns the number marked.
/// Messages that an export newer than `as_of` (`None`: now) has seen stay unmarked.
pub async fn mark_missing(
    connection: &mut PgConnection,
    ranges: &IdRanges,
    existing: &Existing,
    as_of: Option<DateTime<Utc>>,
    at_most: i64,
) -> Result<u64, StoreError> {
    // OFFSET prevents the subquery from being joined, as in `archived_versions`.
    let marked = sqlx::query!(
        "WITH at AS MATERIALIZED (SELECT coalesce($5, clock_timestamp()) AS time),
              lacking AS MATERIALIZED (
                SELECT a.message_id FROM unnest($2::text[], $3::text[]) AS r (low, high)
                 CROSS JOIN LATERAL (SELECT m.message_id FROM messages m
                                      WHERE m.channel_id = $1 AND m.message_id BETWEEN r.low AND r.high
                                        AND length(m.message_id) = length(r.low) AND m.missing_since IS NULL
                                        AND (m.exported_at IS NULL OR m.exported_at < (SELECT time FROM at))
                                        AND m.message_id NOT IN (SELECT unnest($4::text[]))
                                        AND NOT ($7 AND coalesce(m.raw ->> 'type' IN ('21', 'ThreadStarterMessage')
                                                                 AND m.raw #>> '{reference,messageId}' = $1, false)) OFFSET 0) a
                 LIMIT $6)
         UPDATE messages m SET missing_since = (SELECT time FROM at) FROM lacking l
          WHERE m.channel_id = $1 AND m.message_id = l.message_id AND m.missing_since IS NULL
            AND (m.exported_at IS NULL OR m.exported_at < (SELECT time FROM at))",
        ranges.channel_id.to_string(),
        &ranges.lows,
        &ranges.highs,
        &existing.message_ids,
        as_of,
        at_most,
        existing.placeholder,
    )
    .execute(connection)
    .await?;
    Ok(marked.rows_affected())
}

/// Removes the mark from messages that an export newer than the mark has seen again.
pub async fn unmark_missing(
    connection: &mut PgConnection,
    channel_id: Snowflake,
    ids: &[String],
    as_of: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE messages SET missing_since = NULL
          WHERE channel_id = $1 AND message_id = ANY ($2) AND missing_since < $3",
        channel_id.to_string(),
        ids,
        as_of,
    )
    .execute(connection)
    .await?;
    Ok(())
}
