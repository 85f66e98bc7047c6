//! Which batches are committed, and what the cursor may say. Pure.
//!
//! Several batches are written at once and commit in any order, so the cursor is the low-water mark: the end of the
//! last batch below which every batch is committed, never the highest one.

use std::collections::BTreeMap;

use dce_core::store::transitions::{Checkpoint, ClaimedRun};

use super::batch::Summary;

/// What is known of one attempt's batches. They are numbered from 0 in the order of the document.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// What the run's row says, or is about to.
    settled: Checkpoint,
    /// The first batch that is not below the cursor.
    next: u64,
    /// Batches that are committed, but above the cursor.
    above: BTreeMap<u64, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    summary: Summary,
    in_order: bool,
}

impl Ledger {
    /// Where an earlier attempt ended.
    pub fn of(run: &ClaimedRun) -> Self {
        let settled = Checkpoint {
            cursor: run.cursor,
            last: run.cursor,
            message_count: run.message_count,
            repaired_count: run.repaired_count,
            counters: run.counters,
            bytes_read: run.bytes_read,
            ..Checkpoint::default()
        };
        Self { settled, next: 0, above: BTreeMap::new() }
    }

    /// What the run's row has to say.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.settled
    }

    /// Batches with a lower number are below the cursor.
    pub const fn low_water(&self) -> u64 {
        self.next
    }

    /// Whether all committed batches are below the cursor.
    pub fn is_in_order(&self) -> bool {
        self.above.is_empty()
    }

    /// With this batch committed too. `in_order`: no id so far was lower than one before it; if one was, the cursor
    /// stands still until everything is through, because a resume after it would skip what comes late.
    #[must_use]
    pub fn with(&self, number: u64, summary: Summary, in_order: bool) -> Self {
        let mut ledger = self.clone();
        ledger.above.insert(number, Entry { summary, in_order });
        while let Some(entry) = ledger.above.get(&ledger.next).copied().filter(|entry| entry.in_order) {
            ledger.above.remove(&ledger.next);
            ledger.settle(&entry.summary);
            ledger.next += 1;
        }
        ledger
    }

    /// Everything is through: what was out of order counts now.
    #[must_use]
    pub fn completed(&self) -> Self {
        let mut ledger = self.clone();
        for (number, entry) in std::mem::take(&mut ledger.above) {
            ledger.settle(&entry.summary);
            ledger.next = number + 1;
        }
        ledger
    }

    fn settle(&mut self, summary: &Summary) {
        let at = &mut self.settled;
        at.bytes_read = at.bytes_read.saturating_add_unsigned(summary.bytes_read);
        at.message_count = at.message_count.saturating_add_unsigned(summary.messages);
        at.repaired_count = at.repaired_count.saturating_add_unsigned(summary.repaired_messages);
        at.counters.add(&summary.counters);
        if let Some(span) = summary.span {
            at.cursor = at.cursor.max(Some(span.highest_id));
            at.last = at.cursor;
            at.first = Some(at.first.map_or(span.lowest_id, |first| first.min(span.lowest_id)));
            at.newest_at = at.newest_at.max(Some(span.newest_at));
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use dce_core::export::warnings::Counters;
    use dce_core::ids::Snowflake;
    use dce_core::store::transitions::{Fence, RunOptions};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ingest::batch::Span;

    fn fresh(cursor: Option<u64>) -> Ledger {
        let id = Snowflake::new;
        Ledger::of(&ClaimedRun {
            fence: Fence { run_id: Uuid::nil(), attempt: 1, worker: String::new() },
            job_id: Uuid::nil(),
            channel_id: id(1),
            start_at: None,
            upper: id(u64::MAX),
            cursor: cursor.map(id),
            message_count: 7,
            repaired_count: 0,
            counters: Counters::default(),
            bytes_read: 0,
            options: RunOptions::default(),
            request_id: None,
        })
    }

    /// Batch `number` holds the ids `number * 10 + 1 ..= number * 10 + 10`.
    fn batch(number: u64) -> Summary {
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
        Summary { messages: 10, bytes_read: 100, span: Some(span), ..Summary::default() }
    }

    proptest! {
        #[test]
        fn the_cursor_is_the_low_water_mark_in_any_order(order in Just((0..12_u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ledger = fresh(None);
            let mut committed = Vec::new();
            for number in order {
                ledger = ledger.with(number, batch(number), true);
                committed.push(number);
                let low = (0..=12).find(|number| !committed.contains(number)).unwrap();
                prop_assert_eq!(ledger.low_water(), low);
                let at = ledger.checkpoint();
                prop_assert_eq!(at.cursor, (low > 0).then(|| Snowflake::new(low * 10)));
                prop_assert_eq!(at.message_count, 7 + i64::try_from(low * 10).unwrap());
            }
        }
    }

    #[test]
    fn disorder_freezes_the_cursor_until_everything_is_through() {
        let ledger = fresh(Some(5)).with(0, batch(1), true).with(1, batch(0), false).with(2, batch(2), false);
        assert_eq!(
            (ledger.checkpoint().cursor, ledger.checkpoint().message_count),
            (Some(Snowflake::new(20)), 17)
        );
        let through = ledger.completed();
        assert_eq!(
            (through.checkpoint().cursor, through.checkpoint().message_count),
            (Some(Snowflake::new(30)), 37)
        );
    }

    #[test]
    fn ids_of_18_and_19_digits_are_compared_as_numbers() {
        let short = 999_999_999_999_999_990 / 10;
        let ledger = fresh(None).with(0, batch(short), true).with(1, batch(short + 1), true);
        assert_eq!(ledger.checkpoint().cursor, Some(Snowflake::new(1_000_000_000_000_000_010)));
    }
}
