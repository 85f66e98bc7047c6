//! A run that reads the channel as DCE and the ingest do, and asks Discord as the worker does.

use std::collections::BTreeSet;
use std::time::Duration;

use dce_core::ids::Snowflake;
use proptest::prelude::*;

use super::channel::{Channel, Message, STARTER, first_id, millisecond};
use crate::proof::discord_clock::DiscordClock;
use crate::proof::judge::{Bounds, Listed, Position, Seen, Verdict, judge};

/// What an attempt remembers before the newest message that it read.
const REMEMBERED: u64 = 11 * 60_000;
/// Time of one question to Discord and its answer.
const ROUND_TRIP: u64 = 120;

/// How one attempt's DCE goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It reads everything that Discord lists.
    Whole,
    /// Its first question is refused, which DCE 2.48 takes for an empty channel.
    Refused,
    /// An empty page ends it after so many messages, without an error.
    CutShort(usize),
    /// The connection is lost after so many messages.
    Dropped(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) reading: Reading,
    /// Whether DCE writes a thread's starter in place of its placeholder.
    pub(super) resolves_starter: bool,
    /// Whether Discord answers the proof.
    pub(super) is_answered: bool,
    /// Milliseconds from DCE's start to its first question.
    pub(super) start: u64,
    /// Milliseconds for reading.
    pub(super) duration: u64,
    /// Milliseconds from then on until the question for the proof.
    pub(super) pause: u64,
}

/// What one attempt has read.
#[derive(Debug, Default)]
pub(super) struct Read {
    started: u64,
    /// The id after which it began.
    after: Option<Snowflake>,
    ids: BTreeSet<Snowflake>,
    has_starter: bool,
}

impl Seen for Read {
    fn lacks(&self, id: Snowflake) -> bool {
        let is_remembered =
            self.ids.last().is_none_or(|newest| millisecond(id) + REMEMBERED >= millisecond(*newest));
        is_remembered && !self.ids.contains(&id)
    }

    fn saw_placeholder(&self, id: Snowflake, stands_for: Option<Snowflake>) -> bool {
        self.ids.contains(&id) || (self.has_starter && stands_for == Some(STARTER))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    Proven,
    Short,
}

#[derive(Debug)]
pub(super) struct Run {
    /// The id just below `start_at`.
    start: Option<Snowflake>,
    upper: Snowflake,
    pub(super) cursor: Option<Snowflake>,
    pub(super) reread_from: Option<Snowflake>,
    /// Everything that any attempt has read.
    read: BTreeSet<Snowflake>,
    /// What of it is archived.
    rows: BTreeSet<Snowflake>,
}

impl Run {
    pub(super) const fn new(start: Option<Snowflake>, upper: Snowflake) -> Self {
        Self { start, upper, cursor: None, reread_from: None, read: BTreeSet::new(), rows: BTreeSet::new() }
    }

    /// The id after which the next attempt begins to read.
    fn after(&self) -> Option<Snowflake> {
        let resume = self.cursor.map(|cursor| first_id(millisecond(cursor)).before());
        let reread = self.reread_from.map(Snowflake::before);
        resume.map(|resume| reread.map_or(resume, |reread| reread.min(resume))).max(self.start)
    }

    /// Reads what DCE would write: everything from `after` to the newest message at its first question.
    pub(super) fn read(&mut self, channel: &Channel, attempt: &Attempt, started: u64) -> Read {
        let after = self.after();
        let mut read = Read { started, after, ..Read::default() };
        let asked = started + attempt.start;
        let newest = channel.visible(asked).map(|message| message.id).filter(|id| *id < self.upper).max();
        let Some(newest) = newest.filter(|_| attempt.reading != Reading::Refused) else { return read };
        let is_asked_for =
            |message: &&Message| Some(message.id) > after && millisecond(message.id) <= millisecond(newest);
        let mut messages: Vec<_> =
            channel.visible(asked + attempt.duration / 2).filter(is_asked_for).collect();
        messages.sort_by_key(|message| message.id);
        if let Reading::CutShort(count) | Reading::Dropped(count) = attempt.reading {
            messages.truncate(count);
        }
        for message in messages {
            if message.is_placeholder && attempt.resolves_starter {
                read.has_starter = true;
                self.rows.insert(STARTER);
                continue;
            }
            read.ids.insert(message.id);
            self.read.insert(message.id);
            if !message.is_dropped {
                self.rows.insert(message.id);
            }
        }
        self.cursor = self.cursor.max(read.ids.last().copied());
        read
    }

    /// Asks Discord. `read`: by this attempt's DCE, if it was through.
    pub(super) fn conclude(
        &mut self,
        channel: &Channel,
        read: Option<&Read>,
        now: u64,
    ) -> Result<Conclusion, TestCaseError> {
        let seen = read.map(|read| read as &dyn Seen);
        let unrecorded = read.filter(|_| channel.has_filter).and_then(|read| read.after);
        let position = Position { cursor: self.cursor, start: self.start, unrecorded, seen };
        let mut upper = self.upper;
        for question in 0..4 {
            let at = now + question * ROUND_TRIP;
            let page = channel.page(upper, at);
            // Discord's `Date` has whole seconds.
            let clock = DiscordClock::new(first_id(at / 1_000 * 1_000).time());
            let elapsed = |read: &Read| Duration::from_millis(at + ROUND_TRIP / 2 - read.started);
            let bounds = Bounds {
                upper,
                now: clock.bound(page.iter().map(|message| message.id).max()),
                attempt_start: read.and_then(|read| clock.start_of_attempt(elapsed(read))),
            };
            let (bound, cursor, suspects, is_short) = match judge(&page, bounds, position) {
                Verdict::AskBelow(bound) => {
                    prop_assert!(bound < upper, "{bound} is not below {upper}");
                    upper = bound;
                    continue;
                }
                // The simulated channel can be read.
                Verdict::Empty { bound } => (bound, self.cursor, Vec::new(), false),
                Verdict::Proven { bound, cursor, suspects, .. } => (bound, cursor, suspects, false),
                Verdict::Short { bound, suspects, .. } => (bound, self.cursor, suspects, true),
            };
            self.check_bound(bound, read, at)?;
            self.upper = bound;
            let late =
                suspects.iter().filter(|suspect| !self.is_archived(suspect)).map(|suspect| suspect.id).min();
            if is_short || late.is_some() {
                self.reread_from = if read.is_some() { late } else { self.reread_from };
                return Ok(Conclusion::Short);
            }
            self.cursor = cursor;
            let is_forgotten = self.reread_from.filter(|late| !self.read.contains(late));
            prop_assert!(
                !channel.visible(at).any(|message| Some(message.id) == is_forgotten),
                "{is_forgotten:?} was to be read again"
            );
            self.check_proof(channel, &page, read, at)?;
            return Ok(Conclusion::Proven);
        }
        Err(TestCaseError::fail("asks Discord again and again"))
    }

    fn is_archived(&self, suspect: &Listed) -> bool {
        self.rows.contains(&suspect.id)
            || suspect.stands_for().is_some_and(|starter| self.rows.contains(&starter))
    }

    /// Only Discord's clock lowers the bound, to its present or to the attempt's start.
    fn check_bound(&self, bound: Snowflake, read: Option<&Read>, at: u64) -> Result<(), TestCaseError> {
        let lowest = read.map_or(at, |read| read.started - 2_100);
        prop_assert!(bound >= self.upper.min(first_id(lowest)), "at {at}, {bound} is too low");
        prop_assert!(bound <= self.upper.min(first_id(at + 1_000)), "at {at}, {bound} is in the future");
        Ok(())
    }

    /// Whatever Discord lists inside the window was read, except for what became visible too late to be found.
    fn check_proof(
        &self,
        channel: &Channel,
        page: &[Listed],
        read: Option<&Read>,
        at: u64,
    ) -> Result<(), TestCaseError> {
        for message in channel.visible(at) {
            let id = message.id;
            let is_inside = Some(id) > self.start && (id < self.upper || Some(id) <= self.cursor);
            let starter_was_read = message.is_placeholder && self.rows.contains(&STARTER);
            if !is_inside || self.read.contains(&id) || starter_was_read {
                continue;
            }
            prop_assert!(Some(id) <= self.cursor, "{id} is above the cursor and was not read");
            prop_assert!(message.is_late(), "{id} was passed by");
            let is_findable = page.iter().any(|listed| listed.id == id)
                && millisecond(id) + 60_000 >= millisecond(self.upper)
                && read.is_some_and(|read| read.lacks(id) && (!channel.has_filter || Some(id) > read.after));
            prop_assert!(!is_findable, "{id} became visible late and was not found");
        }
        Ok(())
    }
}
