//! Reading the archive: messages of channels in the order of time, page by page.
//!
//! The order is (timestamp, id as a number). A page begins behind a position, so that what is added or deleted meanwhile
//! neither repeats nor hides anything else, and a deep page costs what the first one does. No session is held between pages.

pub mod channels;
mod columns;
mod edges;
mod reader;
mod search;
pub mod search_index;
mod sessions;
mod sources;
mod statement;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::Snowflake;

pub use columns::{Column, Row, Value};
pub use reader::{Limits, Page, Reader, Take, message};
pub use sessions::Sessions;
pub use sources::{Source, of_channel, of_export};

/// Which messages come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The oldest.
    #[default]
    Asc,
    /// The newest.
    Desc,
}

/// A message's place in its channel, or one between messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When it was sent; Postgres and clients know microseconds.
    pub timestamp: DateTime<Utc>,
    /// Its id.
    pub message_id: Snowflake,
}

impl Position {
    /// Behind everything of this moment.
    const fn end_of(timestamp: DateTime<Utc>, order: Order) -> Self {
        let last = match order {
            Order::Asc => u64::MAX,
            Order::Desc => 0,
        };
        Self { timestamp, message_id: Snowflake::new(last) }
    }
}

/// Where reading goes on: behind this position of this channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The channel.
    pub channel_id: Snowflake,
    /// What has been read of it.
    pub position: Position,
}

/// The end of a range that clients name: exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// This moment.
    Time(DateTime<Utc>),
    /// This message, there or not.
    Id(Snowflake),
}

/// Something that a message may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// A file.
    Attachment,
    /// An embed.
    Embed,
    /// A sticker.
    Sticker,
    /// A reaction.
    Reaction,
    /// A web address in its text.
    Link,
    /// It is pinned.
    Pin,
}

/// Which messages are wanted; all conditions hold for each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters {
    /// Later than this.
    pub after: Option<Edge>,
    /// Earlier than this.
    pub before: Option<Edge>,
    /// Written by this author.
    pub author_id: Option<Snowflake>,
    /// With this in the text, in whatever case.
    pub text: Option<String>,
    /// With all of these.
    pub has: Vec<Has>,
}

impl Filters {
    /// Whether messages must be looked at one after the other, because no index knows which ones are wanted.
    fn needs_scan(&self) -> bool {
        self.author_id.is_some() || self.text.is_some() || !self.has.is_empty()
    }
}
