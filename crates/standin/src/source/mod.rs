//! Sources of a channel's messages.

mod document;
mod file;
mod generated;
mod listed;
mod recording;
mod window;

use std::io;

pub use document::{Document, DocumentEnd};
pub use file::{Opened, open};
pub use generated::Generated;
pub use listed::{IndexedFile, ListedMessages, RecordedMessages, read_header};
pub use recording::recorded_documents;
pub use window::{Window, WindowPosition};

use crate::header::Header;
use crate::snowflake::Snowflake;

/// A channel's messages, oldest first, as DCE writes them.
pub trait Messages {
    fn header(&self) -> &Header;

    /// First and last message; none of an empty channel.
    fn ends(&self) -> Option<(Snowflake, Snowflake)>;

    /// Appends the next message to `buffer`, from its `    {` to its `    }`.
    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Snowflake>>;

    /// Allows skipping messages up to and including this one.
    fn skip_to(&mut self, _after: Snowflake) {}
}
