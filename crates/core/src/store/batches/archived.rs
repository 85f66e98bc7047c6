//! Lookup of the archived messages in the id ranges of a batch.
//!
//! Both ends of a range have the same number of digits: only among such ids is the order of the texts that of the
//! numbers.

use chrono::{DateTime, Utc};
use futures_util::Stream;
use sqlx::postgres::PgConnection;

use crate::ids::Snowflake;
use crate::store::StoreError;

/// Id ranges in a channel, each from one text to another with as many digits, both inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdRanges {
    pub channel_id: Snowflake,
    pub lows: Vec<String>,
    /// As many as `lows`.
    pub highs: Vec<String>,
}

/// The parts of an archived message that an update compares.
#[derive(Debug)]
pub struct ArchivedVersion {
    pub message_id: String,
    pub content: Option<String>,
    /// Time of the last edit, as DCE wrote it.
    pub edited: Option<String>,
    pub is_pinned: bool,
    /// JSON.
    pub attachments: Option<String>,
    /// JSON.
    pub embeds: Option<String>,
    /// JSON.
    pub reactions: Option<String>,
    /// Exported before the time asked about.
    pub is_older: bool,
    /// Marked as missing.
    pub is_marked: bool,
}

/// Archived ids, separated by commas: the form that Postgres sends fastest.
#[derive(Debug)]
pub struct ArchivedIds(String);

impl ArchivedIds {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|id| !id.is_empty())
    }
}

/// Looks up the archived ids in these ranges, at most so many.
pub async fn archived_ids(
    connection: &mut PgConnection,
    ranges: &IdRanges,
    at_most: i64,
) -> Result<ArchivedIds, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"SELECT archived_id_list($1, $2, $3, $4) AS "ids!""#,
        ranges.channel_id.to_string(),
        &ranges.lows,
        &ranges.highs,
        at_most,
    )
    .fetch_one(connection)
    .await?;
    Ok(ArchivedIds(ids))
}

/// Streams the archived messages in these ranges, at most so many, compared with a time: without one, none is older. A
/// stream, because each message may have megabytes.
pub fn archived_versions<'c>(
    connection: &'c mut PgConnection,
    ranges: &IdRanges,
    at_most: i64,
    time: Option<DateTime<Utc>>,
) -> impl Stream<Item = sqlx::Result<ArchivedVersion>> + Unpin + use<'c> {
    // OFFSET prevents the subquery from being joined: a generic plan would then read the whole channel (measured: 60
    // times slower).
    sqlx::query_as!(
        ArchivedVersion,
        r#"SELECT m.message_id AS "message_id!", m.content, m.raw ->> 'timestampEdited' AS edited,
                  coalesce(m.raw ->> 'isPinned' = 'true', false) AS "is_pinned!",
                  m.attachments::text AS attachments, m.embeds::text AS embeds,
                  nullif((m.raw -> 'reactions')::text, 'null') AS reactions,
                  coalesce(m.exported_at < $5, $5 IS NOT NULL) AS "is_older!",
                  m.missing_since IS NOT NULL AS "is_marked!"
             FROM unnest($3::text[], $4::text[]) AS r (low, high)
            CROSS JOIN LATERAL (SELECT m.message_id, m.content, m.raw, m.attachments, m.embeds, m.exported_at, m.missing_since
                                  FROM messages m
                                 WHERE m.channel_id = $1 AND m.message_id BETWEEN r.low AND r.high
                                   AND length(m.message_id) = length(r.low) OFFSET 0) m
            LIMIT $2"#,
        ranges.channel_id.to_string(),
        at_most,
        &ranges.lows,
        &ranges.highs,
        time,
    )
    .fetch(connection)
}
