//! Archived messages, as batches look at them and write them.
//!
//! Ranges of ids are ranges of texts of equally many digits: as texts ids are in the order of their numbers only among those.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use futures_util::Stream;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::StoreError;
use crate::ids::Snowflake;

/// The columns of a batch's rows, in the order of its binary COPY streams.
pub const COPY_COLUMNS: &str = r#"channel_id, message_id, author_id, author_name, content, "timestamp", attachments, embeds, raw, job_id, exported_at"#;

/// COPY data goes out in pieces of this size: the client copies each piece once more.
const PIECE: usize = 64 << 10;

static COPY: LazyLock<String> =
    LazyLock::new(|| format!("COPY messages ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)"));
static COPY_STAGED: LazyLock<String> =
    LazyLock::new(|| format!("COPY staged_messages ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)"));
static MERGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO messages ({COPY_COLUMNS}) SELECT {COPY_COLUMNS} FROM staged_messages
         ON CONFLICT (channel_id, message_id) DO NOTHING"
    )
});

/// Ranges of ids in a channel, each from one text to another of as many digits, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The channel.
    pub channel_id: Snowflake,
    /// Where each begins.
    pub lows: Vec<String>,
    /// Where each ends; as many.
    pub highs: Vec<String>,
}

/// A message as it is archived.
#[derive(Debug)]
pub struct Version {
    /// Its id.
    pub message_id: String,
    /// Its text.
    pub content: Option<String>,
    /// When it was changed last, as DCE wrote it.
    pub edited: Option<String>,
    /// Whether it is pinned.
    pub is_pinned: bool,
    /// JSON.
    pub attachments: Option<String>,
    /// JSON.
    pub embeds: Option<String>,
    /// JSON.
    pub reactions: Option<String>,
    /// It is older than the time asked about.
    pub is_older: bool,
    /// It is marked as missing.
    pub is_marked: bool,
}

/// Ids that are archived, with commas between them, as Postgres tells them fastest.
#[derive(Debug)]
pub struct ArchivedIds(String);

impl ArchivedIds {
    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|id| !id.is_empty())
    }
}

/// The ids that are archived in these ranges, at most so many.
pub async fn ids(
    connection: &mut PgConnection,
    ranges: &Ranges,
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

/// What is archived in these ranges, at most so many messages, compared with a time: without one nothing is older. One after
/// the other, because each may have megabytes.
pub fn versions<'c>(
    connection: &'c mut PgConnection,
    ranges: &Ranges,
    at_most: i64,
    time: Option<DateTime<Utc>>,
) -> impl Stream<Item = sqlx::Result<Version>> + Unpin + use<'c> {
    // OFFSET keeps the subquery one: joined instead, a plan for any parameters reads the whole channel (measured: 60 times
    // slower).
    sqlx::query_as!(
        Version,
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

/// Marks what is archived in these ranges and not `there`, at most so many messages. How many were marked. What an export
/// newer than `as_of` (`None`: now) has seen is not touched.
pub async fn mark_missing(
    connection: &mut PgConnection,
    ranges: &Ranges,
    there: &[String],
    as_of: Option<DateTime<Utc>>,
    at_most: i64,
) -> Result<u64, StoreError> {
    // OFFSET: as above.
    let marked = sqlx::query!(
        "WITH at AS MATERIALIZED (SELECT coalesce($5, clock_timestamp()) AS time),
              lacking AS MATERIALIZED (
                SELECT a.message_id FROM unnest($2::text[], $3::text[]) AS r (low, high)
                 CROSS JOIN LATERAL (SELECT m.message_id FROM messages m
                                      WHERE m.channel_id = $1 AND m.message_id BETWEEN r.low AND r.high
                                        AND length(m.message_id) = length(r.low) AND m.missing_since IS NULL
                                        AND (m.exported_at IS NULL OR m.exported_at < (SELECT time FROM at))
                                        AND m.message_id NOT IN (SELECT unnest($4::text[])) OFFSET 0) a
                 LIMIT $6)
         UPDATE messages m SET missing_since = (SELECT time FROM at) FROM lacking l
          WHERE m.channel_id = $1 AND m.message_id = l.message_id AND m.missing_since IS NULL
            AND (m.exported_at IS NULL OR m.exported_at < (SELECT time FROM at))",
        ranges.channel_id.to_string(),
        &ranges.lows,
        &ranges.highs,
        there,
        as_of,
        at_most,
    )
    .execute(connection)
    .await?;
    Ok(marked.rows_affected())
}

/// Takes the mark from messages that are there again, as an export newer than the mark says.
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

/// Inserts the rows of a binary COPY stream; none of them if one is there already (23505). How many there were.
pub async fn insert(connection: &mut PgConnection, stream: &[u8]) -> Result<u64, StoreError> {
    copy(connection, &COPY, stream).await
}

/// Puts the rows of a binary COPY stream into a table of this session's own, empty again after COMMIT.
pub async fn stage(connection: &mut PgConnection, stream: &[u8]) -> Result<(), StoreError> {
    // Not checked at compile time, like the statements that use the table: it is of the session.
    sqlx::query("CREATE TEMP TABLE IF NOT EXISTS staged_messages (LIKE messages INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
        .execute(&mut *connection)
        .await?;
    copy(connection, &COPY_STAGED, stream).await?;
    Ok(())
}

/// Inserts the staged rows that are not there. How many.
pub async fn insert_staged(connection: &mut PgConnection) -> Result<u64, StoreError> {
    let inserted = sqlx::query(AssertSqlSafe(MERGE.as_str())).execute(connection).await?;
    Ok(inserted.rows_affected())
}

/// Replaces what is older than the staged rows, and keeps what it replaces if that is asked for. Who inserted a message
/// stays the one who did. How many were replaced.
pub async fn replace_by_staged(
    connection: &mut PgConnection,
    keep_versions: bool,
) -> Result<u64, StoreError> {
    let replaced = sqlx::query(
        r#"WITH older AS (
             SELECT m.channel_id, m.message_id, m.exported_at, m.raw
               FROM messages m JOIN staged_messages s USING (channel_id, message_id)
              WHERE s.exported_at > coalesce(m.exported_at, '-infinity') FOR NO KEY UPDATE OF m),
           kept AS (
             INSERT INTO message_versions (channel_id, message_id, exported_at, raw, job_id)
             SELECT o.channel_id, o.message_id, o.exported_at, o.raw, s.job_id
               FROM older o JOIN staged_messages s USING (channel_id, message_id) WHERE $1)
           UPDATE messages m
              SET author_id = s.author_id, author_name = s.author_name, content = s.content, "timestamp" = s."timestamp",
                  attachments = s.attachments, embeds = s.embeds, raw = s.raw, exported_at = s.exported_at, missing_since = NULL
             FROM staged_messages s JOIN older o USING (channel_id, message_id)
            WHERE m.channel_id = s.channel_id AND m.message_id = s.message_id"#,
    )
    .bind(keep_versions)
    .execute(connection)
    .await?;
    Ok(replaced.rows_affected())
}

async fn copy(connection: &mut PgConnection, statement: &str, stream: &[u8]) -> Result<u64, StoreError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for piece in stream.chunks(PIECE) {
        if let Err(error) = copy.send(piece).await {
            // The server's reason comes with the answer to the end, if there is still a server.
            return Err(copy.finish().await.err().unwrap_or(error).into());
        }
    }
    Ok(copy.finish().await?)
}
