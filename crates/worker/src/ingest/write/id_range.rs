//! Ranges of ids for a column that holds ids as text.
//!
//! Ids are compared as numbers, but an index on text orders them as texts. Both orders agree among ids with the same number
//! of digits, so a range of numbers is one range of texts per number of digits.

use dce_core::ids::Snowflake;
use dce_core::store::batches::archived::IdRanges;

/// A range of ids, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdRange {
    first: Snowflake,
    last: Snowflake,
}

impl IdRange {
    /// `None`: empty.
    pub(super) fn new(first: Snowflake, last: Snowflake) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Everything above `after` (`None`: everything) up to and including `last`.
    pub(super) fn above(after: Option<Snowflake>, last: Snowflake) -> Option<Self> {
        let first = match after {
            Some(after) => after.get().checked_add(1)?,
            None => 0,
        };
        Self::new(Snowflake::new(first), last)
    }

    pub(super) fn contains(self, id: Snowflake) -> bool {
        (self.first..=self.last).contains(&id)
    }

    /// The range from the lower first id to the higher last one.
    pub(super) fn hull(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    /// The first and the last id of each number of digits, as texts.
    pub(super) fn to_texts(self, channel_id: Snowflake) -> IdRanges {
        let (mut first, last) = (self.first.get(), self.last.get());
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        loop {
            let digits = first.checked_ilog10().unwrap_or(0) + 1;
            // At most 20 digits.
            let longest = 10_u64.checked_pow(digits).map_or(u64::MAX, |next| next - 1);
            lows.push(first.to_string());
            highs.push(longest.min(last).to_string());
            if longest >= last {
                return IdRanges { channel_id, lows, highs };
            }
            first = longest + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(first: u64, last: u64) -> Vec<(String, String)> {
        let range = IdRange::new(Snowflake::new(first), Snowflake::new(last)).unwrap();
        let IdRanges { lows, highs, .. } = range.to_texts(Snowflake::new(1));
        lows.into_iter().zip(highs).collect()
    }

    #[test]
    fn a_range_is_split_where_the_number_of_digits_changes() {
        let pair = |low: u64, high: u64| (low.to_string(), high.to_string());
        assert_eq!(texts(5, 5), [pair(5, 5)]);
        assert_eq!(texts(0, 12), [pair(0, 9), pair(10, 12)]);
        assert_eq!(texts(9, 10), [pair(9, 9), pair(10, 10)]);
        assert_eq!(
            texts(999_999_999_999_999_990, 1_000_000_000_000_000_010),
            [
                pair(999_999_999_999_999_990, 999_999_999_999_999_999),
                pair(1_000_000_000_000_000_000, 1_000_000_000_000_000_010)
            ]
        );
        assert_eq!(texts(0, u64::MAX).len(), 20);
    }

    #[test]
    fn the_range_above_the_last_id_is_empty() {
        let id = Snowflake::new;
        assert_eq!(IdRange::above(Some(id(u64::MAX)), id(u64::MAX)), None);
        assert_eq!(IdRange::above(Some(id(7)), id(7)), None);
        assert_eq!(IdRange::above(Some(id(7)), id(8)), IdRange::new(id(8), id(8)));
        assert_eq!(IdRange::above(None, id(8)), IdRange::new(id(0), id(8)));
    }

    proptest! {
        #[test]
        fn an_id_is_in_the_range_if_its_text_is_in_the_range_of_its_length(a: u64, b: u64, id: u64, shift in 0..64_u32) {
            let (a, b, id) = (a >> shift, b >> (shift / 2), id >> (shift / 3));
            let (first, last) = (a.min(b), a.max(b));
            let text = id.to_string();
            let found = texts(first, last)
                .into_iter()
                .any(|(low, high)| text.len() == low.len() && low <= text && text <= high);
            prop_assert_eq!(found, (first..=last).contains(&id));
        }
    }
}
