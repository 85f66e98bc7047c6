//! Marking what Discord no longer has. A message is missing if an export read the messages before and after it, and it was
//! not among them.

use chrono::{DateTime, Utc};
use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::runs::ClaimedRun;
use sqlx::postgres::PgConnection;

use super::batch::SealedBatch;
use super::id_range::IdRange;

/// Rows marked in one transaction, so that none of them takes long.
const CHUNK: u64 = 10_000;

/// What an attempt reads itself, without a gap: everything above one id and below another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    after: Option<Snowflake>,
    upper: Snowflake,
}

impl Window {
    /// `None`: the run does not look for what is missing, or does not read everything.
    pub(super) fn of(run: &ClaimedRun) -> Option<Self> {
        let looks = run.options.on_conflict == OnConflict::Update && run.options.filter.is_none();
        looks.then(|| Self { after: run.after(), upper: run.upper })
    }

    /// What a batch answers for: from behind the last message before it up to its own last.
    pub(super) fn up_to(self, last: Snowflake, before: Option<Snowflake>) -> Option<IdRange> {
        IdRange::above(before.max(self.after), last)
    }

    /// What is left when everything was read: from behind the last message up to the window's end.
    pub(super) fn rest(self, last: Option<Snowflake>) -> Option<IdRange> {
        IdRange::above(last.max(self.after), self.upper.before())
    }
}

/// Where messages may be missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap<'a> {
    pub(super) channel_id: Snowflake,
    pub(super) range: IdRange,
    /// What is there.
    pub(super) batch: Option<&'a SealedBatch>,
    /// When Discord was asked; `None`: just now.
    pub(super) as_of: Option<DateTime<Utc>>,
}

/// Marks some of what is missing; whether that was all. What a newer export has seen is not touched.
pub(super) async fn mark(connection: &mut PgConnection, gap: &Gap<'_>) -> Result<bool, StoreError> {
    let (lows, highs) = gap.range.texts();
    let there: Vec<String> =
        gap.batch.into_iter().flat_map(SealedBatch::ids).map(|id| id.to_string()).collect();
    let marked = sqlx::query(
        // OFFSET: as in the look beforehand, each range is one walk through the index.
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
    )
    .bind(gap.channel_id.to_string())
    .bind(lows)
    .bind(highs)
    .bind(there)
    .bind(gap.as_of)
    .bind(i64::try_from(CHUNK).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() < CHUNK)
}

/// Takes the mark from messages that are there again, as an export newer than the mark says.
pub(super) async fn unmark(
    connection: &mut PgConnection,
    channel_id: Snowflake,
    ids: &[Snowflake],
    as_of: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let ids: Vec<String> = ids.iter().map(Snowflake::to_string).collect();
    sqlx::query(
        "UPDATE messages SET missing_since = NULL
          WHERE channel_id = $1 AND message_id = ANY ($2) AND missing_since < $3",
    )
    .bind(channel_id.to_string())
    .bind(ids)
    .bind(as_of)
    .execute(connection)
    .await?;
    Ok(())
}
