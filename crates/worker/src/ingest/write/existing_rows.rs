//! Compares a batch with the rows that exist, before anything is written. An optimisation: the primary key, and the
//! comparison of times in the writing statements, guarantee correctness.
//!
//! One scan of the key's index reads the batch's range of ids, in a third of the time that looking up each id takes
//! (measured). If the range holds far more than the batch, as with a filter, each id is looked up.

use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::batches::archived::{self, ArchivedVersion, IdRanges};
use dce_ingest::copy::batch::SealedBatch;
use dce_ingest::message::columns::Message;
use dce_ingest::message::diff;
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;

use super::id_range::IdRange;
use super::missing::Coverage;

/// A range is scanned while it holds at most this many rows per message of the batch…
const ROWS_PER_MESSAGE: usize = 2;
/// …or at most this many rows in all.
const SCANNED_AT_LEAST: usize = 1000;

/// The differences between a batch and the archive. Messages are named by their index in the batch.
#[derive(Debug, Default)]
pub(super) struct BatchDiff {
    /// Not archived; of a message that the batch has twice, the first.
    pub(super) new: Vec<usize>,
    /// Archived, older, and different.
    pub(super) changed: Vec<usize>,
    /// Archived and marked as missing.
    pub(super) returned: Vec<Snowflake>,
    /// The archive has, or may have, unmarked messages in the range that the batch lacks.
    pub(super) has_missing: bool,
}

impl BatchDiff {
    /// Whether nothing has to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.returned.is_empty() && !self.has_missing
    }
}

/// Compares the batch with the archive. `covered`: the range in which the batch is to find missing messages.
pub(super) async fn compare(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    on_conflict: OnConflict,
    covered: Option<Coverage<'_>>,
) -> Result<BatchDiff, StoreError> {
    if batch.ids().len() == 0 && covered.is_none() {
        // All of its messages were dropped by a filter.
        return Ok(BatchDiff::default());
    }
    let mut comparison = Comparison::new(batch, covered);
    let limit = SCANNED_AT_LEAST.max(comparison.ids.len().saturating_mul(ROWS_PER_MESSAGE));
    let ranges = comparison.ranges();
    if comparison.read(connection, on_conflict, ranges, limit).await? >= limit {
        comparison = Comparison::new(batch, covered);
        // The scan did not reach the range's end.
        comparison.diff.has_missing = covered.is_some();
        let each: Vec<_> = comparison.ids.iter().map(|(id, _)| id.to_string()).collect();
        let all = each.len();
        let each = IdRanges { channel_id: batch.channel_id(), lows: each.clone(), highs: each };
        comparison.read(connection, on_conflict, each, all).await?;
    }
    Ok(comparison.finish())
}

struct Comparison<'a> {
    batch: &'a SealedBatch,
    covered: Option<Coverage<'a>>,
    /// Each id once, ordered as numbers, with its index in the batch.
    ids: Vec<(Snowflake, usize)>,
    archived: Vec<bool>,
    diff: BatchDiff,
}

impl<'a> Comparison<'a> {
    fn new(batch: &'a SealedBatch, covered: Option<Coverage<'a>>) -> Self {
        let mut ids: Vec<_> = batch.ids().enumerate().map(|(index, id)| (id, index)).collect();
        ids.sort(); // nearly always sorted already; the first of equal ids stays first
        ids.dedup_by_key(|(id, _)| *id);
        let archived = vec![false; batch.ids().len()];
        Self { batch, covered, ids, archived, diff: BatchDiff::default() }
    }

    /// The range of the batch's ids and the covered one, and apart from them a starter from far below.
    fn ranges(&self) -> IdRanges {
        let starter = self.batch.starter();
        let mut ids = self.ids.iter().filter(|(_, index)| Some(*index) != starter).map(|(id, _)| *id);
        let own = ids.next().and_then(|lowest| IdRange::new(lowest, ids.next_back().unwrap_or(lowest)));
        let covered = self.covered.map(|covered| covered.range);
        let range = own.zip(covered).map(|(own, covered)| own.hull(covered)).or(own).or(covered);
        let channel_id = self.batch.channel_id();
        let nothing = IdRanges { channel_id, lows: Vec::new(), highs: Vec::new() };
        let mut ranges = range.map_or(nothing, |range| range.to_texts(channel_id));
        for (id, _) in self.ids.iter().filter(|(_, index)| Some(*index) == starter) {
            ranges.lows.push(id.to_string());
            ranges.highs.push(id.to_string());
        }
        ranges
    }

    /// Whether the covered range has this message, which the batch lacks, and it is not known to exist.
    fn may_be_missing(&self, id: Option<Snowflake>) -> bool {
        self.covered.is_some_and(|Coverage { range, present }| {
            id.is_none_or(|id| range.contains(id) && !present.ids.contains(&id))
        })
    }

    fn index(&self, id: Snowflake) -> Option<usize> {
        let at = self.ids.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.ids[at].1)
    }

    /// Reads the archived messages of these ranges. Returns their number, at most `limit`.
    async fn read(
        &mut self,
        connection: &mut PgConnection,
        on_conflict: OnConflict,
        ranges: IdRanges,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let at_most = i64::try_from(limit).unwrap_or(i64::MAX);
        if on_conflict == OnConflict::Ignore {
            let archived = archived::archived_ids(connection, &ranges, at_most).await?;
            let mut count = 0;
            for id in archived.iter() {
                count += 1;
                if let Some(index) = id.parse().ok().and_then(|id| self.index(id)) {
                    self.archived[index] = true;
                }
            }
            return Ok(count);
        }
        let mut versions =
            archived::archived_versions(connection, &ranges, at_most, self.batch.newest_export());
        let mut count = 0;
        while let Some(version) = versions.try_next().await? {
            self.compare(&version);
            count += 1;
        }
        Ok(count)
    }

    /// Compares one archived message with the batch.
    fn compare(&mut self, version: &ArchivedVersion) {
        let ArchivedVersion { is_older, is_marked, .. } = *version;
        let id = version.message_id.parse::<Snowflake>().ok();
        let Some(index) = id.and_then(|id| self.index(id)) else {
            self.diff.has_missing |= is_older && !is_marked && self.may_be_missing(id);
            return;
        };
        self.archived[index] = true;
        if is_marked {
            self.diff.returned.extend(id);
        }
        let archived = diff::Version {
            content: version.content.as_deref(),
            edited: version.edited.as_deref(),
            is_pinned: version.is_pinned,
            attachments: version.attachments.as_deref(),
            embeds: version.embeds.as_deref(),
            reactions: version.reactions.as_deref(),
        };
        if self.batch.is_insert_only(index) {
            return;
        }
        // It was readable when it was pushed.
        let message = Message::parse(self.batch.raw(index)).ok();
        if is_older && message.is_some_and(|message| diff::Version::from(&message).differs(&archived)) {
            self.diff.changed.push(index);
        }
    }

    fn finish(mut self) -> BatchDiff {
        let archived = &self.archived;
        self.diff.new = self.ids.iter().map(|(_, index)| *index).filter(|index| !archived[*index]).collect();
        self.diff.new.sort_unstable();
        self.diff.changed.sort_unstable();
        self.diff
    }
}
