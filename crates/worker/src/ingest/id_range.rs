//! Ranges of ids for a column that holds them as text. Pure.
//!
//! Ids are compared as numbers, an index on text is not. Among ids of as many digits both orders are the same, so a range
//! of numbers is one range of texts for each number of digits.

use dce_core::ids::Snowflake;
use dce_core::store::batches::archived::IdRanges;

/// From one id to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IdRange {
    first: Snowflake,
    last: Snowflake,
}

impl IdRange {
    /// `None`: there is nothing in it.
    pub(super) fn new(first: Snowflake, last: Snowflake) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// From one id to the last that has as many digits and the same first one. As text ids of other lengths lie between them:
    /// few, as long as the first digit is the same, but nearly all of a channel's if the range ends with the largest number.
    pub(super) fn alike(first: Snowflake) -> Self {
        let unit = 10_u64.pow(first.get().checked_ilog10().unwrap_or(0));
        let next = (first.get() / unit + 1).checked_mul(unit);
        Self { first, last: Snowflake::new(next.map_or(u64::MAX, |next| next - 1)) }
    }

    /// Its first id.
    pub(super) const fn first(self) -> Snowflake {
        self.first
    }

    /// Its last id.
    pub(super) const fn last(self) -> Snowflake {
        self.last
    }

    /// Everything above one id (`None`: all) up to and including another.
    pub(super) fn above(after: Option<Snowflake>, last: Snowflake) -> Option<Self> {
        let first = match after {
            Some(after) => after.get().checked_add(1)?,
            None => 0,
        };
        Self::new(Snowflake::new(first), last)
    }

    /// As texts: the first and the last of each number of digits.
    pub(super) fn texts(self, channel_id: Snowflake) -> IdRanges {
        let (mut first, last) = (self.first.get(), self.last.get());
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        loop {
            let digits = first.checked_ilog10().unwrap_or(0) + 1;
            // 20 digits are the most that there are.
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

    #[test]
    fn ids_that_are_alike_have_their_length_and_first_digit_in_common() {
        for (first, last) in [
            (0, 0),
            (1, 1),
            (10, 19),
            (987, 999),
            (1_257_995_925_154_955_791, 1_999_999_999_999_999_999),
            (900_000_000_000_000_000, 999_999_999_999_999_999),
            (10_000_000_000_000_000_000, u64::MAX),
        ] {
            let alike = IdRange::alike(Snowflake::new(first));
            assert_eq!((alike.first().get(), alike.last().get()), (first, last));
        }
    }

    fn texts(first: u64, last: u64) -> Vec<(String, String)> {
        let range = IdRange::new(Snowflake::new(first), Snowflake::new(last)).unwrap();
        let IdRanges { lows, highs, .. } = range.texts(Snowflake::new(1));
        lows.into_iter().zip(highs).collect()
    }

    #[test]
    fn a_range_is_split_where_the_digits_get_more() {
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
    fn above_the_last_id_there_is_nothing() {
        let id = Snowflake::new;
        assert_eq!(IdRange::above(Some(id(u64::MAX)), id(u64::MAX)), None);
        assert_eq!(IdRange::above(Some(id(7)), id(7)), None);
        assert_eq!(IdRange::above(Some(id(7)), id(8)), IdRange::new(id(8), id(8)));
        assert_eq!(IdRange::above(None, id(8)), IdRange::new(id(0), id(8)));
    }

    proptest! {
        #[test]
        fn an_id_is_in_the_range_if_its_text_is_in_one_of_as_many_digits(a: u64, b: u64, id: u64, shift in 0..64_u32) {
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
