//! Where a channel's messages come from.

mod document;
mod file;
mod generated;

use std::io;

pub(crate) use document::{Document, DocumentEnd};
pub(crate) use file::{Opened, open};
pub(crate) use generated::Generated;

use crate::header::Header;
use crate::snowflake::Snowflake;

/// A channel's messages, oldest first, as DCE writes them.
pub(crate) trait Messages {
    /// Whose they are.
    fn header(&self) -> &Header;

    /// First and last message; none in an empty channel.
    fn ends(&self) -> Option<(Snowflake, Snowflake)>;

    /// Appends the next message to `buffer`, from its `    {` to its `    }`.
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Snowflake>>;

    /// May leave out messages up to and including this one.
    fn skip_to(&mut self, _after: Snowflake) {}
}

/// What `--after` and `--before` leave of a channel.
pub(crate) struct Window {
    after: Option<Snowflake>,
    before: Option<Snowflake>,
    /// The millisecond of the newest message seen so far below `before`.
    newest_below: Option<u64>,
}

/// What a window says of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Below,
    Inside,
    Above,
}

impl Window {
    pub(crate) fn new(after: Option<Snowflake>, before: Option<Snowflake>) -> Self {
        Self { after, before, newest_below: None }
    }

    /// Judges messages in their order. `after` is exact. `before` is not: DCE asks for the newest message below
    /// it and then stops at the first message of a later millisecond, so those of the same one pass.
    pub(crate) fn place(&mut self, id: Snowflake) -> Place {
        match self.before {
            Some(before) if id >= before && self.newest_below != Some(id.millisecond()) => {
                return Place::Above;
            }
            Some(before) if id < before => self.newest_below = Some(id.millisecond()),
            _ => {}
        }
        if self.after.is_some_and(|after| id <= after) { Place::Below } else { Place::Inside }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Window};
    use crate::snowflake::Snowflake;

    fn inside(after: Option<u64>, before: Option<u64>, ids: &[u64]) -> Vec<u64> {
        let mut window = Window::new(after.map(Snowflake), before.map(Snowflake));
        ids.iter().copied().filter(|&id| window.place(Snowflake(id)) == Place::Inside).collect()
    }

    #[test]
    fn after_is_exact_and_before_lets_its_millisecond_through() {
        let ms = |ms: u64, low: u64| (ms << 22) + low;
        let ids = [ms(1, 0), ms(2, 0), ms(2, 1), ms(2, 2), ms(3, 0)];
        assert_eq!(inside(Some(ms(2, 0)), None, &ids), ids[2..]);
        assert_eq!(inside(None, Some(ms(2, 1)), &ids), ids[..4]);
        assert_eq!(inside(None, Some(ms(2, 0)), &ids), ids[..1]);
        assert_eq!(inside(Some(ms(2, 0)), Some(ms(2, 1)), &ids), ids[2..4]);
    }
}
