//! Counts and ranges of a batch, apart from its rows.

use chrono::{DateTime, Utc};
use dce_snowflake::Snowflake;

use crate::message::quality::Quality;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub messages: u64,
    /// Bytes of the documents that these messages took.
    pub bytes_read: u64,
    /// Messages with at least one replaced character.
    pub repaired_messages: u64,
    /// Replaced characters.
    pub repairs: u64,
    pub quality: Quality,
    /// `None` without messages.
    pub span: Option<Span>,
    /// Messages that a filter has dropped. The other fields do not include them, except for `bytes_read`.
    pub filtered: Filtered,
}

/// Messages that were read and dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filtered {
    pub messages: u64,
    /// The highest id and the latest time among them; `None` without messages of the window.
    pub reached: Option<(Snowflake, DateTime<Utc>)>,
}

impl Filtered {
    /// Adds others.
    fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.reached = match (self.reached, other.reached) {
            (Some((id, at)), Some((other_id, other_at))) => Some((id.max(other_id), at.max(other_at))),
            (one, other) => one.or(other),
        };
    }
}

impl Summary {
    pub(crate) fn add(&mut self, id: Snowflake, sent_at: DateTime<Utc>, repairs: u32, source_bytes: u64) {
        self.messages += 1;
        self.bytes_read += source_bytes;
        self.repaired_messages += u64::from(repairs > 0);
        self.repairs += u64::from(repairs);
        let span = self.span.map(|span| span.extended(id, sent_at));
        self.span = Some(span.unwrap_or(Span::new(id, sent_at)));
    }

    /// Adds a message that a filter has dropped. `position`: its id and time; `None` if it lies outside of the window.
    pub(crate) fn add_filtered(&mut self, position: Option<(Snowflake, DateTime<Utc>)>, source_bytes: u64) {
        self.bytes_read += source_bytes;
        self.filtered.merge(Filtered { messages: 1, reached: position });
    }

    /// Adds the counts of other messages and extends the range to theirs.
    pub fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes_read += other.bytes_read;
        self.repaired_messages += other.repaired_messages;
        self.repairs += other.repairs;
        self.quality.merge(&other.quality);
        self.filtered.merge(other.filtered);
        self.span = match (self.span, other.span) {
            (Some(span), Some(other)) => Some(span.merged(other)),
            (span, other) => span.or(other),
        };
    }
}

/// The range of a batch's messages. Ids are compared as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Id of the first message in the document's order.
    pub first_id: Snowflake,
    /// Id of the last message in the document's order.
    pub last_id: Snowflake,
    /// Smallest id, which is not the first in a reversed document.
    pub lowest_id: Snowflake,
    pub highest_id: Snowflake,
    /// Earliest time of a message.
    pub oldest_at: DateTime<Utc>,
    /// Latest time of a message.
    pub newest_at: DateTime<Utc>,
}

impl Span {
    const fn new(id: Snowflake, at: DateTime<Utc>) -> Self {
        Self { first_id: id, last_id: id, lowest_id: id, highest_id: id, oldest_at: at, newest_at: at }
    }

    fn extended(self, id: Snowflake, at: DateTime<Utc>) -> Self {
        Self {
            first_id: self.first_id,
            last_id: id,
            lowest_id: self.lowest_id.min(id),
            highest_id: self.highest_id.max(id),
            oldest_at: self.oldest_at.min(at),
            newest_at: self.newest_at.max(at),
        }
    }

    /// The range of both, of which `later` follows in the document.
    fn merged(self, later: Self) -> Self {
        Self {
            first_id: self.first_id,
            last_id: later.last_id,
            lowest_id: self.lowest_id.min(later.lowest_id),
            highest_id: self.highest_id.max(later.highest_id),
            oldest_at: self.oldest_at.min(later.oldest_at),
            newest_at: self.newest_at.max(later.newest_at),
        }
    }
}
