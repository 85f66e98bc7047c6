//! Marks messages that Discord no longer has. A message is missing if an export read the messages before and after it
//! without reading it.

use chrono::{DateTime, Utc};
use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::batches::missing;
use dce_core::store::transitions::ClaimedRun;
use dce_ingest::copy::batch::SealedBatch;
use sqlx::postgres::PgConnection;

use super::id_range::IdRange;

/// Rows marked in one transaction, so that no transaction takes long.
const CHUNK: u32 = 10_000;

/// The range of ids that an attempt reads itself without a gap; both bounds are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadWindow {
    after: Option<Snowflake>,
    upper: Snowflake,
}

impl ReadWindow {
    /// `None`: the run does not look for missing messages, or does not read all messages.
    pub(super) fn new(run: &ClaimedRun) -> Option<Self> {
        let finds_missing = run.options.on_conflict == OnConflict::Update && run.options.filter.is_none();
        finds_missing.then(|| Self { after: run.after(), upper: run.upper })
    }

    /// The range that a batch covers: above the last message before it, up to its own last message.
    pub(super) fn up_to(self, last: Snowflake, before: Option<Snowflake>) -> Option<IdRange> {
        IdRange::above(before.max(self.after), last)
    }

    /// The range above the last message, up to the window's end.
    pub(super) fn rest(self, last: Option<Snowflake>) -> Option<IdRange> {
        IdRange::above(last.max(self.after), self.upper.before())
    }
}

/// A range in which messages may be missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap<'a> {
    pub(super) channel_id: Snowflake,
    pub(super) range: IdRange,
    /// The messages that are not missing.
    pub(super) batch: Option<&'a SealedBatch>,
    /// When Discord was asked; `None`: now.
    pub(super) as_of: Option<DateTime<Utc>>,
}

/// Marks missing messages, at most [`CHUNK`]. Returns whether all are marked. Messages that a newer export has seen stay
/// unmarked.
pub(super) async fn mark(connection: &mut PgConnection, gap: &Gap<'_>) -> Result<bool, StoreError> {
    let present: Vec<String> =
        gap.batch.into_iter().flat_map(SealedBatch::ids).map(|id| id.to_string()).collect();
    let ranges = gap.range.to_texts(gap.channel_id);
    let marked = missing::mark_missing(connection, &ranges, &present, gap.as_of, i64::from(CHUNK)).await?;
    Ok(marked < u64::from(CHUNK))
}
