//! Decides which batches are committed and where the cursor stands.
//!
//! Several batches are written at once and commit in any order, so the cursor is the low-water mark: the end of the last
//! batch below which every batch is committed, never the end of the highest one.

use std::collections::BTreeMap;

use dce_core::export::warnings::Counters;
use dce_core::store::transitions::{Checkpoint, ClaimedRun};
use dce_ingest::copy::summary::Summary;

/// The committed batches of one attempt. Batches are numbered from 0 in the order of the document.
#[derive(Debug, Clone)]
pub(super) struct LowWaterMark {
    /// The run's row, as it is or is about to be written.
    checkpoint: Checkpoint,
    /// Number of the first batch that is not below the cursor.
    next: u64,
    /// Committed batches above the cursor.
    above: BTreeMap<u64, CommittedBatch>,
}

#[derive(Debug, Clone)]
pub(super) struct CommittedBatch {
    pub(super) summary: Summary,
    /// Messages that were not written because they are erased.
    pub(super) erased: u64,
    /// Whether every message so far was of the millisecond of the one before it, or of a later one. If one was not, the
    /// cursor stands still until everything is read, because a resume from it would skip the messages that come late.
    pub(super) in_order: bool,
    /// The messages at or below the attempt's first cursor that the transaction inserts. They count at once.
    pub(super) read_again: Summary,
}

impl LowWaterMark {
    /// The mark at which an earlier attempt ended.
    pub(super) fn new(run: &ClaimedRun) -> Self {
        let checkpoint = Checkpoint {
            cursor: run.cursor,
            message_count: run.message_count,
            repaired_count: run.repaired_count,
            filtered_count: run.filtered_count,
            counters: run.counters,
            bytes_read: run.bytes_read,
            ..Checkpoint::default()
        };
        Self { checkpoint, next: 0, above: BTreeMap::new() }
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Batches with a lower number are below the cursor.
    pub(super) const fn next_batch(&self) -> u64 {
        self.next
    }

    /// Whether all committed batches are below the cursor.
    pub(super) fn has_all(&self) -> bool {
        self.above.is_empty()
    }

    /// The mark once this batch is committed, too.
    #[must_use]
    pub(super) fn with(&self, number: u64, batch: CommittedBatch) -> Self {
        let mut mark = self.clone();
        mark.raise(&batch.read_again, 0);
        mark.above.insert(number, batch);
        while let Some(first) =
            mark.above.first_entry().filter(|first| *first.key() == mark.next && first.get().in_order)
        {
            let batch = first.remove();
            mark.raise(&batch.summary, batch.erased);
            mark.next += 1;
        }
        mark
    }

    /// The mark once everything is read: batches out of order count, too.
    #[must_use]
    pub(super) fn completed(&self) -> Self {
        let mut mark = self.clone();
        for (number, batch) in std::mem::take(&mut mark.above) {
            mark.raise(&batch.summary, batch.erased);
            mark.next = number + 1;
        }
        mark
    }

    fn raise(&mut self, summary: &Summary, erased: u64) {
        let at = &mut self.checkpoint;
        at.bytes_read = at.bytes_read.saturating_add_unsigned(summary.bytes_read);
        at.message_count = at.message_count.saturating_add_unsigned(summary.messages);
        at.repaired_count = at.repaired_count.saturating_add_unsigned(summary.repaired_messages);
        at.filtered_count = at.filtered_count.saturating_add_unsigned(summary.filtered.messages);
        at.counters.add(&counters(summary, erased));
        if let Some((highest_id, newest_at)) = summary.filtered.reached {
            at.cursor = at.cursor.max(Some(highest_id));
            at.newest_at = at.newest_at.max(Some(newest_at));
        }
        if let Some(span) = summary.span {
            at.cursor = at.cursor.max(Some(span.highest_id));
            at.last = at.last.max(Some(span.highest_id));
            at.first = Some(at.first.map_or(span.lowest_id, |first| first.min(span.lowest_id)));
            at.newest_at = at.newest_at.max(Some(span.newest_at));
        }
    }
}

fn counters(summary: &Summary, erased: u64) -> Counters {
    let quality = &summary.quality;
    let mut counters = Counters {
        blank: quality.blank,
        reactions_short: quality.reactions_short,
        reaction_users_missing: quality.reaction_users_missing,
        shortened: quality.shortened.len() as u64,
        users_omitted: quality.users_dropped,
        erased,
        ..Counters::default()
    };
    counters.shortened_ids.extend(quality.shortened.iter().copied());
    counters
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use dce_core::ids::Snowflake;
    use dce_core::store::transitions::{Fence, RunOptions};
    use dce_ingest::copy::summary::{Filtered, Span};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn mark_at(cursor: Option<u64>) -> LowWaterMark {
        let id = Snowflake::new;
        LowWaterMark::new(&ClaimedRun {
            fence: Fence { run_id: Uuid::nil(), attempt: 1, worker: String::new() },
            job_id: Uuid::nil(),
            channel_id: id(1),
            start_at: None,
            upper: id(u64::MAX),
            cursor: cursor.map(id),
            message_count: 7,
            repaired_count: 0,
            filtered_count: 0,
            counters: Counters::default(),
            bytes_read: 0,
            through: None,
            reread_from: None,
            options: RunOptions::default(),
            request_id: None,
        })
    }

    /// Batch `number` holds the ids `number * 10 + 1 ..= number * 10 + 10`.
    fn batch(number: u64, in_order: bool) -> CommittedBatch {
        let (first, last) = (Snowflake::new(number * 10 + 1), Snowflake::new(number * 10 + 10));
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let span = Span {
            first_id: first,
            last_id: last,
            lowest_id: first,
            highest_id: last,
            oldest_at: at,
            newest_at: at,
        };
        let summary = Summary { messages: 10, bytes_read: 100, span: Some(span), ..Summary::default() };
        CommittedBatch { summary, erased: 0, in_order, read_again: Summary::default() }
    }

    proptest! {
        #[test]
        fn the_cursor_is_the_low_water_mark_in_any_order(order in Just((0..12_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut mark = mark_at(None);
            let mut committed = Vec::new();
            for number in order {
                mark = mark.with(number, batch(number, true));
                committed.push(number);
                let low = (0..=12).find(|number| !committed.contains(number)).unwrap();
                prop_assert_eq!(mark.next_batch(), low);
                let at = mark.checkpoint();
                prop_assert_eq!(at.cursor, (low > 0).then(|| Snowflake::new(low * 10)));
                prop_assert_eq!(at.message_count, 7 + i64::try_from(low * 10).unwrap());
            }
        }
    }

    /// One message that was read again and inserted.
    fn read_again(id: u64) -> Summary {
        let id = Snowflake::new(id);
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let span =
            Span { first_id: id, last_id: id, lowest_id: id, highest_id: id, oldest_at: at, newest_at: at };
        Summary { messages: 1, repaired_messages: 1, span: Some(span), ..Summary::default() }
    }

    proptest! {
        /// Batches commit in any order. Some insert a message from below the first cursor.
        #[test]
        fn inserted_messages_below_the_cursor_count_at_once_and_never_lower_it(
            order in Just((0..8_u64).collect::<Vec<_>>()).prop_shuffle(),
            late in proptest::collection::vec(proptest::option::of(1..100_u64), 8),
            is_frozen: bool,
        ) {
            let mut mark = mark_at(Some(100));
            let mut inserted = 0;
            for (number, late) in order.into_iter().zip(late) {
                let before = mark.checkpoint().cursor;
                let read_again = late.map(read_again).unwrap_or_default();
                inserted += i64::from(late.is_some());
                mark = mark.with(number, CommittedBatch { read_again, ..batch(number + 10, !is_frozen) });
                let at = mark.checkpoint();
                let below = i64::try_from(mark.next_batch() * 10).unwrap();
                prop_assert_eq!(at.message_count, 7 + below + inserted);
                prop_assert_eq!(at.repaired_count, inserted);
                prop_assert!(at.cursor >= before);
            }
            let completed = mark.completed();
            prop_assert_eq!(completed.checkpoint().message_count, 7 + 80 + inserted);
            prop_assert_eq!(completed.checkpoint().cursor, Some(Snowflake::new(180)));
            let lowest = completed.checkpoint().first;
            prop_assert!(lowest.is_some_and(|first| first <= Snowflake::new(101)));
        }
    }

    #[test]
    fn dropped_messages_move_the_cursor_and_are_counted_apart() {
        let (id, at) = (Snowflake::new(15), DateTime::<Utc>::UNIX_EPOCH + chrono::TimeDelta::days(1));
        let filtered = Filtered { messages: 5, reached: Some((id, at)) };
        let dropped = Summary { bytes_read: 50, filtered, ..Summary::default() };
        let of = |summary| CommittedBatch { summary, ..batch(0, true) };
        let mark = mark_at(Some(5)).with(0, of(dropped.clone()));
        let checkpoint = mark.checkpoint();
        assert_eq!((checkpoint.cursor, checkpoint.newest_at), (Some(id), Some(at)));
        assert_eq!((checkpoint.first, checkpoint.last), (None, None), "only matches have a first and a last");
        assert_eq!((checkpoint.message_count, checkpoint.filtered_count, checkpoint.bytes_read), (7, 5, 50));
        let mut both = batch(0, true).summary;
        both.merge(&dropped);
        let mark = mark_at(None).with(0, of(both));
        let checkpoint = mark.checkpoint();
        assert_eq!((checkpoint.cursor, checkpoint.last), (Some(id), Some(Snowflake::new(10))));
        assert_eq!((checkpoint.message_count, checkpoint.filtered_count), (17, 5));
    }

    #[test]
    fn a_batch_of_nothing_but_a_starter_counts_and_moves_nothing() {
        let mut starter = batch(0, true);
        starter.summary.span = None;
        let mark = mark_at(None).with(0, starter);
        let at = mark.checkpoint();
        assert_eq!((at.cursor, at.first, at.last, at.message_count), (None, None, None, 17));
        assert_eq!(mark.next_batch(), 1);
    }

    #[test]
    fn disorder_freezes_the_cursor_until_everything_is_read() {
        let mark = mark_at(Some(5)).with(0, batch(1, true)).with(1, batch(0, false)).with(2, batch(2, false));
        assert_eq!(
            (mark.checkpoint().cursor, mark.checkpoint().message_count),
            (Some(Snowflake::new(20)), 17)
        );
        let completed = mark.completed();
        assert_eq!(
            (completed.checkpoint().cursor, completed.checkpoint().message_count),
            (Some(Snowflake::new(30)), 37)
        );
    }

    #[test]
    fn ids_of_18_and_19_digits_are_compared_as_numbers() {
        let short = 999_999_999_999_999_990 / 10;
        let mark = mark_at(None).with(0, batch(short, true)).with(1, batch(short + 1, true));
        assert_eq!(mark.checkpoint().cursor, Some(Snowflake::new(1_000_000_000_000_000_010)));
    }
}
