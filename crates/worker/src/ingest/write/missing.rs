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
use crate::ingest::read::delivery::{Present, ReadRange};
use crate::ingest::read::summary::ReadEnd;

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

    /// The range that a batch completes.
    pub(super) fn completed_by(self, range: &ReadRange) -> Option<IdRange> {
        self.range(range.from, range.to?)
    }

    /// The range in which nothing was read, up to the window's end `upper`, which is exclusive: from the millisecond in which
    /// this attempt's reading ended (`None`: it read nothing). Only above the cursor if an earlier attempt read further than
    /// this one: it knows nothing of the messages between.
    pub(super) fn rest(
        self,
        read: Option<ReadEnd>,
        cursor: Option<Snowflake>,
        upper: Snowflake,
    ) -> Option<IdRange> {
        let upper = upper.min(self.upper);
        match read {
            Some(read) if Some(read.newest) >= cursor => self.range(Some(read.millisecond), upper),
            _ => IdRange::above(cursor.max(self.after), upper.before()),
        }
    }

    fn range(self, from: Option<Snowflake>, to: Snowflake) -> Option<IdRange> {
        IdRange::above(from.map(Snowflake::before).max(self.after), to.before())
    }
}

/// A range that an attempt has read without a gap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coverage<'a> {
    pub(super) range: IdRange,
    /// Messages of the range that the batch lacks although they exist.
    pub(super) present: &'a Present,
}

/// A range in which messages may be missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap<'a> {
    pub(super) channel_id: Snowflake,
    pub(super) coverage: Coverage<'a>,
    /// More messages that are not missing.
    pub(super) batch: Option<&'a SealedBatch>,
    /// When Discord was asked; `None`: now.
    pub(super) as_of: Option<DateTime<Utc>>,
}

/// Marks missing messages, at most [`CHUNK`]. Returns whether all are marked. Messages that a newer export has seen stay
/// unmarked.
pub(super) async fn mark(connection: &mut PgConnection, gap: &Gap<'_>) -> Result<bool, StoreError> {
    let Coverage { range, present } = gap.coverage;
    let in_batch = gap.batch.into_iter().flat_map(SealedBatch::ids);
    let exist = missing::Existing {
        message_ids: in_batch.chain(present.ids.iter().copied()).map(|id| id.to_string()).collect(),
        placeholder: present.has_starter,
    };
    let ranges = range.to_texts(gap.channel_id);
    let marked = missing::mark_missing(connection, &ranges, &exist, gap.as_of, i64::from(CHUNK)).await?;
    Ok(marked < u64::from(CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millisecond: u64, low: u64) -> Snowflake {
        Snowflake::new((millisecond << 22) + low)
    }

    fn window(after: Option<Snowflake>) -> ReadWindow {
        ReadWindow { after, upper: id(90, 0) }
    }

    fn read(from: Option<Snowflake>, to: Option<Snowflake>) -> ReadRange {
        ReadRange { from, to, continues: false, present: Present::default() }
    }

    #[test]
    fn a_batch_completes_the_milliseconds_before_its_last_one() {
        let (first, last) = (window(Some(id(10, 5))), id(20, 0));
        let range = first.completed_by(&read(None, Some(last)));
        assert_eq!(range, IdRange::new(id(10, 6), last.before()), "from where the attempt began");
        let range = first.completed_by(&read(Some(last), Some(id(30, 0))));
        assert_eq!(range, IdRange::new(last, id(30, 0).before()), "with the millisecond that was left");
        assert_eq!(first.completed_by(&read(Some(last), Some(last))), None, "inside one millisecond");
        assert_eq!(first.completed_by(&read(None, None)), None, "without a message");
    }

    #[test]
    fn the_rest_is_from_the_last_millisecond_to_the_lower_of_the_bounds() {
        let window = window(Some(id(10, 5)));
        let read = |newest: Snowflake| Some(ReadEnd { newest, millisecond: newest.first_of_millisecond() });
        let rest = window.rest(read(id(20, 3)), Some(id(20, 3)), id(40, 0));
        assert_eq!(rest, IdRange::new(id(20, 0), id(40, 0).before()));
        assert_eq!(window.rest(None, None, id(95, 0)), IdRange::new(id(10, 6), id(90, 0).before()));
        assert_eq!(window.rest(read(id(50, 0)), None, id(40, 0)), None, "reading went beyond the bound");
    }

    #[test]
    fn an_attempt_that_did_not_come_as_far_as_the_cursor_marks_nothing_below_it() {
        // A resume begins with the cursor's millisecond, or below it.
        let (window, cursor) = (window(Some(id(10, 5))), Some(id(20, 7)));
        let above = IdRange::new(id(20, 8), id(40, 0).before());
        assert_eq!(window.rest(None, cursor, id(40, 0)), above, "only Discord was asked");
        for newest in [id(15, 0), id(20, 6)] {
            let read = ReadEnd { newest, millisecond: newest.first_of_millisecond() };
            assert_eq!(window.rest(Some(read), cursor, id(40, 0)), above, "{newest}");
        }
    }
}
