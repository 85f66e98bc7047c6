//! From ids and moments that a client or a run names to the bounds of a statement.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::statement::Stretch;
use super::{Edge, Filters, Position, Source};
use crate::ids::Snowflake;

/// The finest step of time that Postgres knows.
pub(super) const MOMENT: TimeDelta = TimeDelta::microseconds(1);
/// How far a message's time may be from the one that its id tells, or from that of its neighbours by id.
const MARGIN: TimeDelta = TimeDelta::seconds(60);

/// When archived messages were sent.
pub(super) type Times = HashMap<Snowflake, DateTime<Utc>>;

/// The ids that bound what is read: when those were sent is worth knowing.
pub(super) fn named(source: &Source, filters: &Filters) -> Vec<Snowflake> {
    let id = |edge: Option<Edge>| match edge {
        Some(Edge::Id(id)) => Some(id),
        _ => None,
    };
    let (first, last) = source.range.unzip();
    let mut ids: Vec<_> =
        [first, last, id(filters.after), id(filters.before)].into_iter().flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The bounds; `None`: there is nothing between them.
pub(super) fn stretch(
    source: &Source,
    filters: &Filters,
    times: &Times,
    behind: Option<Position>,
) -> Option<Stretch> {
    let (mut from_id, mut to_id) = source.range.unzip();
    let mut from = from_id.map(|id| earliest(id, times));
    let mut to = to_id.map(|id| latest(id, times));
    match filters.after {
        Some(Edge::Id(id)) => {
            from_id = from_id.max(Some(Snowflake::new(id.get().checked_add(1)?)));
            from = from.max(Some(earliest(id, times)));
        }
        Some(Edge::Time(time)) => from = from.max(Some(time + MOMENT)),
        None => {}
    }
    let lower = |a: Option<_>, b| Some(a.map_or(b, |a| std::cmp::min(a, b)));
    match filters.before {
        Some(Edge::Id(id)) => {
            let below = Snowflake::new(id.get().checked_sub(1)?);
            to_id = Some(to_id.map_or(below, |to| to.min(below)));
            to = lower(to, latest(id, times));
        }
        Some(Edge::Time(time)) => to = lower(to, time - MOMENT),
        None => {}
    }
    let is_empty = from_id.zip(to_id).is_some_and(|(from, to)| from > to)
        || from.zip(to).is_some_and(|(from, to)| from > to);
    (!is_empty).then_some(Stretch { channel_id: source.channel_id, from_id, to_id, from, to, behind })
}

/// No message with this id or a greater one is earlier: ids rise with time, and tell it.
fn earliest(id: Snowflake, times: &Times) -> DateTime<Utc> {
    let told = id.time();
    times.get(&id).map_or(told, |time| told.min(*time)) - MARGIN
}

/// No message with this id or a smaller one is later.
fn latest(id: Snowflake, times: &Times) -> DateTime<Utc> {
    let told = id.time();
    times.get(&id).map_or(told, |time| told.max(*time)) + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: Snowflake = Snowflake::new(1);

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn bounds(source: &Source, after: Option<Edge>, before: Option<Edge>) -> Option<Stretch> {
        let filters = Filters { after, before, ..Filters::default() };
        stretch(source, &filters, &Times::new(), None)
    }

    #[test]
    fn edges_are_exclusive_and_the_closer_one_counts() {
        let id = Snowflake::new;
        let range = Source { channel_id: CHANNEL, range: Some((id(1000), id(2000))) };
        let ids = |after: u64, before: u64| {
            let stretch = bounds(&range, Some(Edge::Id(id(after))), Some(Edge::Id(id(before))));
            stretch.map(|stretch| (stretch.from_id.unwrap().get(), stretch.to_id.unwrap().get()))
        };
        assert_eq!(ids(1, 5000), Some((1000, 2000)));
        assert_eq!(ids(1500, 1600), Some((1501, 1599)));
        assert_eq!(ids(1500, 1501), None);
        assert_eq!(ids(u64::MAX, 5), None);
        assert_eq!(ids(5, 0), None);
    }

    #[test]
    fn times_are_bounds_of_the_index_and_so_are_those_of_ids_with_a_margin() {
        let all = Source { channel_id: CHANNEL, range: None };
        let (noon, later) = (time("2024-07-03T12:00:00Z"), time("2024-07-03T13:00:00Z"));
        let stretch = bounds(&all, Some(Edge::Time(noon)), Some(Edge::Time(later))).unwrap();
        assert_eq!((stretch.from, stretch.to), (Some(noon + MOMENT), Some(later - MOMENT)));
        assert_eq!(bounds(&all, Some(Edge::Time(later)), Some(Edge::Time(noon))), None);

        let id = Snowflake::first_at(noon).unwrap();
        let stretch = bounds(&all, Some(Edge::Id(id)), Some(Edge::Id(Snowflake::first_at(later).unwrap())));
        let stretch = stretch.unwrap();
        assert_eq!((stretch.from, stretch.to), (Some(noon - MARGIN), Some(later + MARGIN)));
    }

    #[test]
    fn an_archived_message_is_where_its_row_says_too() {
        let (id, sent) = (Snowflake::new(1000), time("2024-07-03T12:00:00Z"));
        let times = Times::from([(id, sent)]);
        assert!(earliest(id, &times) < time("2015-01-01T00:00:00Z"));
        assert_eq!(latest(id, &times), sent + MARGIN);
    }
}
