//! Marking what Discord no longer has. A message is missing if an export read the messages before and after it, and it was
//! not among them.

use chrono::{DateTime, Utc};
use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::batches::missing;
use dce_core::store::transitions::ClaimedRun;
use sqlx::postgres::PgConnection;

use super::batch::SealedBatch;
use super::id_range::IdRange;

/// Rows marked in one transaction, so that none of them takes long.
const CHUNK: u32 = 10_000;

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
    let there: Vec<String> =
        gap.batch.into_iter().flat_map(SealedBatch::ids).map(|id| id.to_string()).collect();
    let ranges = gap.range.texts(gap.channel_id);
    let marked = missing::mark_missing(connection, &ranges, &there, gap.as_of, i64::from(CHUNK)).await?;
    Ok(marked < u64::from(CHUNK))
}
