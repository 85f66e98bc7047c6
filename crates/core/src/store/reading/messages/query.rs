//! The parameters of a read: order, filters, where a page starts.

use chrono::{DateTime, Utc};
use dce_filter::Filter;
use serde::{Deserialize, Serialize};

use crate::ids::Snowflake;

/// The order of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortOrder {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

/// The position of a message in its channel, or one between messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// In microseconds, as in Postgres and for clients.
    pub timestamp: DateTime<Utc>,
    pub message_id: Snowflake,
}

impl Position {
    /// The position after all messages of this time.
    pub(super) const fn end_of(timestamp: DateTime<Utc>, order: SortOrder) -> Self {
        let last = match order {
            SortOrder::Asc => u64::MAX,
            SortOrder::Desc => 0,
        };
        Self { timestamp, message_id: Snowflake::new(last) }
    }
}

/// The start of the next page: after this position of this channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageStart {
    pub channel_id: Snowflake,
    /// The last position that was read.
    pub position: Position,
}

/// An exclusive bound that a client names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Time(DateTime<Utc>),
    /// A message, archived or not.
    Id(Snowflake),
}

/// A feature of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    Attachment,
    Embed,
    Sticker,
    Reaction,
    /// A URL in the text.
    Link,
    Pin,
}

/// The filters of a read; all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageFilters {
    pub after: Option<Bound>,
    pub before: Option<Bound>,
    pub author_id: Option<Snowflake>,
    /// Part of the text, case-insensitive.
    pub text: Option<String>,
    /// All of these.
    pub has: Vec<Has>,
    /// The filter of the export whose messages are read. It is applied to `raw`, not by Postgres.
    pub export_filter: Option<Filter>,
}

impl MessageFilters {
    /// Whether messages must be scanned, because no index contains the conditions.
    pub(super) fn needs_scan(&self) -> bool {
        self.author_id.is_some() || self.text.is_some() || !self.has.is_empty()
    }
}
