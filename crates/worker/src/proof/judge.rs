//! Decides from one page of Discord's whether an attempt read everything below its bound. Pure.
//!
//! The page is `messages?limit=100&before=BOUND`: the newest messages below the bound. Everything is read if none of them
//! is above the cursor. The same page shows messages that became visible late.

use std::time::Duration;

use dce_core::ids::Snowflake;

/// Messages of a page.
pub const PAGE: usize = 100;
/// How far below the bound late messages are looked for.
const LATE_WINDOW: Duration = Duration::from_mins(1);
/// Discord's type of the placeholder at the beginning of a thread, which stands for the thread's first message in the
/// parent channel. DCE writes the one or the other (DCE 2.47 and 2.48: docs/dce.md).
const THREAD_STARTER_PLACEHOLDER: u64 = 21;

/// A message on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    pub id: Snowflake,
    /// Discord's number of the message's type; `None`: unknown.
    pub kind: Option<u64>,
    pub author_id: Option<Snowflake>,
    /// The message that it refers to.
    pub reference: Option<Snowflake>,
}

impl Listed {
    /// The thread's first message, if this is the placeholder that stands for it.
    pub fn stands_for(&self) -> Option<Snowflake> {
        self.reference.filter(|_| self.kind == Some(THREAD_STARTER_PLACEHOLDER))
    }
}

/// What the run has read.
#[derive(Clone, Copy)]
pub struct Position<'a> {
    /// Everything up to here is committed.
    pub cursor: Option<Snowflake>,
    /// The id just below the first one of `start_at`.
    pub start: Option<Snowflake>,
    /// What was read up to here left no rows: a filtered run read it in earlier attempts.
    pub unrecorded: Option<Snowflake>,
    /// What this attempt read, if its DCE read to the end.
    pub seen: Option<&'a dyn Seen>,
}

/// What one attempt read.
pub trait Seen: Sync {
    /// Whether it did not read this message. `false` if it cannot know: only the newest ones are kept.
    fn lacks(&self, id: Snowflake) -> bool;

    /// Whether it read this placeholder, or the thread's first message, for which it stands.
    fn saw_placeholder(&self, id: Snowflake, stands_for: Option<Snowflake>) -> bool;
}

/// The bounds of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The bound that Discord was asked with, exclusive.
    pub upper: Snowflake,
    /// A bound above every existing message by Discord's clock, if that is known.
    pub now: Option<Snowflake>,
    /// The first id of this attempt's start by Discord's clock, if there was a DCE and the clock is known.
    pub attempt_start: Option<Snowflake>,
}

impl Bounds {
    /// A bound that a late message is below, so that the next attempt can read it: a bound that was lowered to the attempt's
    /// start may be below it.
    pub fn above(self, bound: Snowflake, late: Option<Snowflake>) -> Snowflake {
        let upper = self.now.map_or(self.upper, |now| now.min(self.upper));
        if late.is_some_and(|late| late >= bound) { upper } else { bound }
    }
}

/// The verdict on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Discord has nothing newer below `bound`, except perhaps for `suspects`.
    Proven { bound: Snowflake, newest: Option<Snowflake>, cursor: Option<Snowflake>, suspects: Vec<Listed> },
    /// Discord has a message that was not read.
    Short { bound: Snowflake, newest: Snowflake, suspects: Vec<Listed> },
    /// The page is empty, which proves nothing: without permission Discord returns an empty list too.
    Empty { bound: Snowflake },
    /// The whole page is above this lower bound: ask again below it.
    AskBelow(Snowflake),
}

/// Judges the page.
pub fn judge(page: &[Listed], bounds: Bounds, position: Position<'_>) -> Verdict {
    let upper = bounds.now.map_or(bounds.upper, |now| now.min(bounds.upper));
    let reach = position.cursor.max(position.start);
    let unread = |bound: Snowflake| {
        page.iter().filter(move |message| {
            message.id < bound && Some(message.id) > reach && !stands_for_a_read_message(message, position)
        })
    };
    // Messages newer than the attempt lower the bound; they were not there to be read.
    let bound = match bounds.attempt_start {
        Some(start) if start < upper => match unread(upper).map(|message| message.id).min() {
            Some(oldest) if oldest >= start => start,
            _ => upper,
        },
        _ => upper,
    };
    let below = || page.iter().filter(|message| message.id < bound);
    match page.len() {
        0 => return Verdict::Empty { bound },
        PAGE.. if below().next().is_none() => return Verdict::AskBelow(bound),
        _ => {}
    }
    let suspects = suspects(page, bound, position);
    if let Some(newest) = unread(bound).map(|message| message.id).max() {
        return Verdict::Short { bound, newest, suspects };
    }
    let newest = below().map(|message| message.id).max();
    // A placeholder whose message was read moves the cursor past it.
    let placeholder = newest.filter(|id| Some(*id) > reach);
    Verdict::Proven { bound, newest, cursor: position.cursor.max(placeholder), suspects }
}

/// Whether the message is a thread's placeholder, and this attempt read it or the message that it stands for.
fn stands_for_a_read_message(message: &Listed, position: Position<'_>) -> bool {
    message.kind == Some(THREAD_STARTER_PLACEHOLDER)
        && position.seen.is_some_and(|seen| seen.saw_placeholder(message.id, message.reference))
}

/// Messages of the last minute that this attempt did not see although it read past them. They became visible late, unless
/// they were archived before or are erased.
fn suspects(page: &[Listed], bound: Snowflake, position: Position<'_>) -> Vec<Listed> {
    let Some(seen) = position.seen else { return Vec::new() };
    let from = Snowflake::first_at(bound.time() - LATE_WINDOW);
    page.iter()
        .filter(|message| {
            let id = message.id;
            // Up to the cursor, which may be above a lowered bound: nothing else finds them later.
            Some(id) >= from
                && Some(id) <= position.cursor
                && Some(id) > position.start.max(position.unrecorded)
                && seen.lacks(id)
                && !stands_for_a_read_message(message, position)
        })
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first id of this millisecond.
    fn ms(milliseconds: u64) -> u64 {
        (1_000_000 + milliseconds) << 22
    }

    fn message(id: u64) -> Listed {
        Listed { id: Snowflake::new(id), kind: Some(0), author_id: None, reference: None }
    }

    fn placeholder(id: u64, stands_for: u64) -> Listed {
        Listed { kind: Some(21), reference: Some(Snowflake::new(stands_for)), ..message(id) }
    }

    fn bounds(upper: u64) -> Bounds {
        Bounds { upper: Snowflake::new(upper), now: None, attempt_start: None }
    }

    /// An attempt that kept everything above an id.
    struct SeenAbove(Vec<u64>, u64);

    impl Seen for SeenAbove {
        fn lacks(&self, id: Snowflake) -> bool {
            id.get() > self.1 && !self.0.contains(&id.get())
        }

        fn saw_placeholder(&self, id: Snowflake, stands_for: Option<Snowflake>) -> bool {
            [Some(id), stands_for].into_iter().flatten().any(|id| self.0.contains(&id.get()))
        }
    }

    const NOTHING_READ: Position<'static> =
        Position { cursor: None, start: None, unrecorded: None, seen: None };

    fn at(cursor: u64) -> Position<'static> {
        Position { cursor: Some(Snowflake::new(cursor)), ..NOTHING_READ }
    }

    fn short(page: &[Listed], bounds: Bounds, position: Position<'_>) -> Option<u64> {
        match judge(page, bounds, position) {
            Verdict::Short { newest, .. } => Some(newest.get()),
            _ => None,
        }
    }

    fn proven(page: &[Listed], bounds: Bounds, position: Position<'_>) -> Option<(u64, Vec<u64>)> {
        match judge(page, bounds, position) {
            Verdict::Proven { bound, suspects, .. } => {
                Some((bound.get(), suspects.iter().map(|suspect| suspect.id.get()).collect()))
            }
            _ => None,
        }
    }

    #[test]
    fn a_message_above_the_cursor_or_the_start_is_unread_wherever_the_page_lists_it() {
        let page = [message(ms(1)), message(ms(3)), message(ms(2))];
        assert_eq!(short(&page, bounds(ms(9)), at(ms(2))), Some(ms(3)));
        assert_eq!(proven(&page, bounds(ms(9)), at(ms(3))), Some((ms(9), vec![])));
        // Below `start_at` nothing was asked for.
        let from_3 = Position { start: Some(Snowflake::new(ms(3))), ..NOTHING_READ };
        assert_eq!(proven(&page, bounds(ms(9)), from_3), Some((ms(9), vec![])));
        let from_2 = Position { start: Some(Snowflake::new(ms(3) - 1)), ..from_3 };
        assert_eq!(short(&page, bounds(ms(9)), from_2), Some(ms(3)));
    }

    #[test]
    fn a_late_message_is_never_above_the_bound_below_which_it_is_read_again() {
        let started = Bounds { attempt_start: Some(Snowflake::new(ms(5))), ..bounds(ms(90)) };
        let seen = SeenAbove(vec![ms(8)], 0);
        let position = Position { seen: Some(&seen), ..at(ms(8)) };
        let page = [ms(20), ms(8), ms(6), ms(2)].map(message);
        let Verdict::Proven { bound, suspects, .. } = judge(&page, started, position) else {
            panic!("what is newer than the attempt is not missed")
        };
        assert_eq!(bound, Snowflake::new(ms(5)), "lowered to the attempt's start");
        let late = suspects.iter().map(|suspect| suspect.id).max();
        assert_eq!(late, Some(Snowflake::new(ms(6))));
        assert_eq!(started.above(bound, late), Snowflake::new(ms(90)));
        assert_eq!(started.above(bound, None), bound);
    }

    #[test]
    fn an_empty_page_proves_nothing() {
        assert_eq!(judge(&[], bounds(9), at(5)), Verdict::Empty { bound: Snowflake::new(9) });
    }

    #[test]
    fn messages_newer_than_the_attempt_lower_the_bound() {
        let started = Bounds { attempt_start: Some(Snowflake::new(ms(5))), ..bounds(ms(90)) };
        let page = [message(ms(7)), message(ms(6)), message(ms(2))];
        assert_eq!(proven(&page, started, at(ms(2))), Some((ms(5), vec![])));
        // One that is older than the attempt is unread.
        assert_eq!(short(&page, started, at(ms(1))), Some(ms(7)));
        // Without anything newer the bound stays.
        assert_eq!(proven(&page, started, at(ms(7))), Some((ms(90), vec![])));
        // A page that is all newer proves nothing if more may be below it.
        let full: Vec<_> = (0..PAGE as u64).map(|number| message(ms(10 + number))).collect();
        assert_eq!(judge(&full, started, at(ms(2))), Verdict::AskBelow(Snowflake::new(ms(5))));
        assert_eq!(proven(&full[1..], started, at(ms(2))), Some((ms(5), vec![])));
    }

    #[test]
    fn a_bound_in_discords_future_is_lowered() {
        let ahead = Bounds { now: Some(Snowflake::new(ms(3))), ..bounds(ms(90)) };
        assert_eq!(proven(&[message(ms(2))], ahead, at(ms(2))), Some((ms(3), vec![])));
        assert_eq!(judge(&[], ahead, at(ms(2))), Verdict::Empty { bound: Snowflake::new(ms(3)) });
    }

    #[test]
    fn a_placeholder_is_read_if_it_or_its_message_was_seen_by_this_attempt() {
        let page = [placeholder(ms(3), 7)];
        for (saw, is_proven) in [(ms(3), true), (7, true), (8, false)] {
            let seen = SeenAbove(vec![saw], 0);
            let position = Position { seen: Some(&seen), ..NOTHING_READ };
            let verdict = judge(&page, bounds(ms(9)), position);
            let cursor = Some(Snowflake::new(ms(3)));
            assert_eq!(
                matches!(verdict, Verdict::Proven { cursor: at, .. } if at == cursor),
                is_proven,
                "{saw}"
            );
        }
        // Another attempt may have seen it; this one must look again.
        assert_eq!(short(&page, bounds(ms(9)), NOTHING_READ), Some(ms(3)));
    }

    #[test]
    fn a_message_of_the_last_minute_below_the_cursor_that_was_not_seen_is_a_suspect() {
        let seen = SeenAbove(vec![ms(70_003), ms(70_001)], ms(20_000));
        let position = Position { seen: Some(&seen), ..at(ms(70_003)) };
        let page = [ms(70_003), ms(70_002), ms(70_001), ms(10_001), ms(15_000), ms(9_000)].map(message);
        assert_eq!(proven(&page, bounds(ms(70_010)), position), Some((ms(70_010), vec![ms(70_002)])));
        // Of what earlier attempts of a filtered run dropped, nobody knows.
        let filtered = Position { unrecorded: Some(Snowflake::new(ms(70_002))), ..position };
        assert_eq!(proven(&page, bounds(ms(70_010)), filtered), Some((ms(70_010), vec![])));
        // An attempt that did not read to the end suspects nothing.
        let unread = Position { seen: None, ..position };
        assert_eq!(proven(&page, bounds(ms(70_010)), unread), Some((ms(70_010), vec![])));
    }
}
