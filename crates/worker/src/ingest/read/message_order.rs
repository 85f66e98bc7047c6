//! Places each message by its id among those that were read before it. Pure.
//!
//! Discord orders messages by millisecond. It may list those of one millisecond in any order, so an order or a repetition
//! inside a millisecond is no disorder.

use dce_core::ids::Snowflake;
use dce_core::store::transitions::ClaimedRun;

/// Most messages of one millisecond that are told apart. Discord's own have a few; more are treated as disorder.
const MOST_IN_A_MILLISECOND: usize = 10_000;

/// Where an attempt begins to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadStart {
    /// DCE was asked for the messages after this one.
    pub(crate) after: Option<Snowflake>,
    /// Messages up to this one were read by earlier attempts.
    pub(crate) cursor: Option<Snowflake>,
    /// The id of the starter, if the channel is a thread.
    pub(crate) starter: Snowflake,
    /// Whether a starter from below `after` counts: once a run, in the attempt that begins without a cursor.
    pub(crate) counts_starter: bool,
}

impl From<&ClaimedRun> for ReadStart {
    fn from(run: &ClaimedRun) -> Self {
        Self {
            after: run.after(),
            cursor: run.cursor,
            starter: run.channel_id,
            // Without a cursor, only a starter can have been counted.
            counts_starter: run.cursor.is_none() && run.message_count == 0 && run.filtered_count == 0,
        }
    }
}

/// The place of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Above the cursor.
    New,
    /// At or below the cursor.
    ReadAgain,
    /// A thread's starter from below everything that was asked for, or that was read.
    Starter,
    /// Read before by this attempt.
    Repeated,
}

/// The order of an attempt's messages so far.
#[derive(Debug)]
pub(super) struct MessageOrder {
    start: ReadStart,
    in_order: bool,
    /// Whether the thread's starter was read.
    has_starter: bool,
    /// The ids of the latest millisecond, sorted.
    latest: Vec<Snowflake>,
}

impl MessageOrder {
    pub(super) const fn new(start: ReadStart) -> Self {
        Self { start, in_order: true, has_starter: false, latest: Vec::new() }
    }

    /// Places the next message.
    pub(super) fn place(&mut self, id: Snowflake) -> Place {
        if id == self.start.starter {
            let is_repeated = std::mem::replace(&mut self.has_starter, true);
            let is_below = |other: Option<&Snowflake>| other.is_some_and(|other| id < *other);
            if self.start.after.is_some_and(|after| id <= after) || is_below(self.latest.first()) {
                return if is_repeated { Place::Repeated } else { Place::Starter };
            }
        }
        match self.latest.last() {
            Some(latest) if id.millisecond() < latest.millisecond() => self.in_order = false,
            Some(latest) if id.millisecond() == latest.millisecond() => {
                match self.latest.binary_search(&id) {
                    Ok(_) => return Place::Repeated,
                    Err(_) if self.latest.len() == MOST_IN_A_MILLISECOND => self.in_order = false,
                    Err(at) => self.latest.insert(at, id),
                }
            }
            Some(_) | None => {
                self.latest.clear();
                self.latest.push(id);
            }
        }
        if self.start.cursor.is_some_and(|cursor| id <= cursor) { Place::ReadAgain } else { Place::New }
    }

    /// Whether every message so far was of the millisecond of the one before it, or of a later one.
    pub(super) const fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// The ids of the latest millisecond; empty before the first message.
    pub(super) fn latest(&self) -> &[Snowflake] {
        &self.latest
    }

    /// Whether the thread's starter was read, from wherever.
    pub(super) const fn has_starter(&self) -> bool {
        self.has_starter
    }

    pub(super) const fn start(&self) -> ReadStart {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STARTER: u64 = 5;
    const START: ReadStart =
        ReadStart { after: None, cursor: None, starter: Snowflake::new(STARTER), counts_starter: true };

    fn id(millisecond: u64, low: u64) -> Snowflake {
        Snowflake::new((millisecond << 22) + low)
    }

    fn places(order: &mut MessageOrder, ids: &[Snowflake]) -> Vec<Place> {
        ids.iter().map(|id| order.place(*id)).collect()
    }

    #[test]
    fn any_order_inside_a_millisecond_is_in_order() {
        let mut order = MessageOrder::new(START);
        let ids = [id(1, 7), id(1, 3), id(1, 9), id(2, 0), id(3, 1), id(3, 0)];
        assert_eq!(places(&mut order, &ids), [Place::New; 6]);
        assert!(order.is_in_order());
        assert_eq!(order.latest(), [id(3, 0), id(3, 1)]);
        assert_eq!(order.place(id(2, 5)), Place::New);
        assert!(!order.is_in_order(), "an earlier millisecond");
        assert_eq!(order.latest(), [id(3, 0), id(3, 1)]);
        assert_eq!(order.place(id(4, 0)), Place::New);
        assert!(!order.is_in_order(), "for good");
    }

    #[test]
    fn a_repetition_inside_a_millisecond_is_found() {
        let mut order =
            MessageOrder::new(ReadStart { cursor: Some(id(1, 5)), after: Some(id(0, 9)), ..START });
        let ids = [id(1, 5), id(1, 2), id(1, 5), id(1, 6), id(1, 2), id(2, 1), id(2, 1)];
        let expected = [
            Place::ReadAgain,
            Place::ReadAgain,
            Place::Repeated,
            Place::New,
            Place::Repeated,
            Place::New,
            Place::Repeated,
        ];
        assert_eq!(places(&mut order, &ids), expected);
        assert!(order.is_in_order());
    }

    #[test]
    fn a_starter_from_below_the_window_is_no_disorder() {
        let mut order = MessageOrder::new(ReadStart { after: Some(id(7, 0)), ..START });
        let starter = Snowflake::new(STARTER);
        let ids = [starter, id(8, 0), starter, id(9, 0)];
        assert_eq!(places(&mut order, &ids), [Place::Starter, Place::New, Place::Repeated, Place::New]);
        assert!(order.is_in_order() && order.has_starter());
        assert_eq!(order.latest(), [id(9, 0)]);
    }

    #[test]
    fn a_starter_in_place_of_a_later_placeholder_is_no_disorder() {
        let mut order = MessageOrder::new(START);
        let ids = [id(8, 0), Snowflake::new(STARTER), id(9, 0)];
        assert_eq!(places(&mut order, &ids), [Place::New, Place::Starter, Place::New]);
        assert!(order.is_in_order() && order.has_starter());
    }

    #[test]
    fn a_starter_inside_the_window_is_a_message_like_any_other() {
        let mut order = MessageOrder::new(START);
        assert_eq!(order.place(Snowflake::new(STARTER)), Place::New);
        assert!(order.has_starter());
        assert_eq!(order.latest(), [Snowflake::new(STARTER)]);
    }

    #[test]
    fn more_messages_of_a_millisecond_than_are_told_apart_are_disorder() {
        let mut order = MessageOrder::new(START);
        let most = MOST_IN_A_MILLISECOND as u64;
        (0..most).for_each(|low| assert_eq!(order.place(id(1, low)), Place::New));
        assert!(order.is_in_order());
        order.place(id(1, most));
        assert!(!order.is_in_order());
        assert_eq!(order.latest().len(), MOST_IN_A_MILLISECOND);
    }

    proptest! {
        #[test]
        fn each_message_of_a_listing_by_millisecond_is_placed_once(
            mut listed in proptest::collection::vec((1..20_u64, 0..4_u64), 0..60),
            cursor in proptest::option::of((1..20_u64, 0..4_u64)),
        ) {
            listed.sort_by_key(|(millisecond, _)| *millisecond); // stable: any order inside
            let cursor = cursor.map(|(millisecond, low)| id(millisecond, low));
            let mut order = MessageOrder::new(ReadStart { cursor, ..START });
            let mut seen = std::collections::HashSet::new();
            for (millisecond, low) in listed {
                let id = id(millisecond, low);
                let expected = match cursor {
                    _ if !seen.insert(id) => Place::Repeated,
                    Some(cursor) if id <= cursor => Place::ReadAgain,
                    _ => Place::New,
                };
                prop_assert_eq!(order.place(id), expected);
                prop_assert!(order.is_in_order());
            }
        }
    }
}
