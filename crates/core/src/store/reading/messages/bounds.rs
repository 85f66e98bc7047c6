//! The bounds of a statement, from the ids and times that a client or a run names.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::query::{Bound, MessageFilters, Position};
use super::sources::Source;
use crate::ids::Snowflake;

/// The resolution of time in Postgres.
pub(super) const TIME_STEP: TimeDelta = TimeDelta::microseconds(1);
/// Maximum difference between a message's time and that of its id, or that of its neighbours by id.
const MARGIN: TimeDelta = TimeDelta::seconds(60);

/// The bounds of a read in one channel, by id and by time, both inclusive, and the position after which it continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) channel_id: Snowflake,
    pub(super) from_id: Option<Snowflake>,
    pub(super) to_id: Option<Snowflake>,
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
    /// In the order of the read.
    pub(super) after: Option<Position>,
}

/// Times of archived messages.
pub(super) type Times = HashMap<Snowflake, DateTime<Utc>>;

/// The ids that bound a read, whose times make its bounds narrower.
pub(super) fn bounding_ids(source: &Source, filters: &MessageFilters) -> Vec<Snowflake> {
    let id = |bound: Option<Bound>| match bound {
        Some(Bound::Id(id)) => Some(id),
        _ => None,
    };
    let (first, last) = source.range.unzip();
    let mut ids: Vec<_> =
        [first, last, id(filters.after), id(filters.before)].into_iter().flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The bounds of a read; `None`: they exclude each other.
pub(super) fn key_range(
    source: &Source,
    filters: &MessageFilters,
    times: &Times,
    after: Option<Position>,
) -> Option<KeyRange> {
    let (mut from_id, mut to_id) = source.range.unzip();
    let mut from = from_id.map(|id| earliest(id, times));
    let mut to = to_id.map(|id| latest(id, times));
    match filters.after {
        Some(Bound::Id(id)) => {
            from_id = from_id.max(Some(Snowflake::new(id.get().checked_add(1)?)));
            from = from.max(Some(earliest(id, times)));
        }
        Some(Bound::Time(time)) => from = from.max(Some(time + TIME_STEP)),
        None => {}
    }
    let lower = |a: Option<_>, b| Some(a.map_or(b, |a| std::cmp::min(a, b)));
    match filters.before {
        Some(Bound::Id(id)) => {
            let below = Snowflake::new(id.get().checked_sub(1)?);
            to_id = Some(to_id.map_or(below, |to| to.min(below)));
            to = lower(to, latest(id, times));
        }
        Some(Bound::Time(time)) => to = lower(to, time - TIME_STEP),
        None => {}
    }
    let is_empty = from_id.zip(to_id).is_some_and(|(from, to)| from > to)
        || from.zip(to).is_some_and(|(from, to)| from > to);
    (!is_empty).then_some(KeyRange { channel_id: source.channel_id, from_id, to_id, from, to, after })
}

/// No message with this id or a greater one is earlier: ids contain the time.
fn earliest(id: Snowflake, times: &Times) -> DateTime<Utc> {
    let by_id = id.time();
    times.get(&id).map_or(by_id, |time| by_id.min(*time)) - MARGIN
}

/// No message with this id or a smaller one is later.
fn latest(id: Snowflake, times: &Times) -> DateTime<Utc> {
    let by_id = id.time();
    times.get(&id).map_or(by_id, |time| by_id.max(*time)) + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: Snowflake = Snowflake::new(1);

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn bounds(source: &Source, after: Option<Bound>, before: Option<Bound>) -> Option<KeyRange> {
        let filters = MessageFilters { after, before, ..MessageFilters::default() };
        key_range(source, &filters, &Times::new(), None)
    }

    #[test]
    fn bounds_are_exclusive_and_the_closer_one_counts() {
        let id = Snowflake::new;
        let range = Source { channel_id: CHANNEL, range: Some((id(1000), id(2000))) };
        let ids = |after: u64, before: u64| {
            let range = bounds(&range, Some(Bound::Id(id(after))), Some(Bound::Id(id(before))));
            range.map(|range| (range.from_id.unwrap().get(), range.to_id.unwrap().get()))
        };
        assert_eq!(ids(1, 5000), Some((1000, 2000)));
        assert_eq!(ids(1500, 1600), Some((1501, 1599)));
        assert_eq!(ids(1500, 1501), None);
        assert_eq!(ids(u64::MAX, 5), None);
        assert_eq!(ids(5, 0), None);
    }

    #[test]
    fn times_bound_the_index_and_ids_do_so_with_a_margin() {
        let all = Source { channel_id: CHANNEL, range: None };
        let (noon, later) = (time("2024-07-03T12:00:00Z"), time("2024-07-03T13:00:00Z"));
        let range = bounds(&all, Some(Bound::Time(noon)), Some(Bound::Time(later))).unwrap();
        assert_eq!((range.from, range.to), (Some(noon + TIME_STEP), Some(later - TIME_STEP)));
        assert_eq!(bounds(&all, Some(Bound::Time(later)), Some(Bound::Time(noon))), None);

        let id = Snowflake::first_at(noon).unwrap();
        let range = bounds(&all, Some(Bound::Id(id)), Some(Bound::Id(Snowflake::first_at(later).unwrap())));
        let range = range.unwrap();
        assert_eq!((range.from, range.to), (Some(noon - MARGIN), Some(later + MARGIN)));
    }

    #[test]
    fn the_stored_time_of_an_archived_message_widens_its_bounds() {
        let (id, sent) = (Snowflake::new(1000), time("2024-07-03T12:00:00Z"));
        let times = Times::from([(id, sent)]);
        assert!(earliest(id, &times) < time("2015-01-01T00:00:00Z"));
        assert_eq!(latest(id, &times), sent + MARGIN);
    }
}
