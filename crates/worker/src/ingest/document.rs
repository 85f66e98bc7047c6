//! What a document consists of, and how it can end.

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;

use super::grammar::{GrammarFault, MAX_DEPTH};
use super::header::Header;
pub use super::members::Members;
use super::text::BadEscape;

/// A piece of a document, in the document's order: one header, the messages, one end.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Everything before the messages was read.
    Header(Box<Header>),
    /// One whole message.
    Message {
        /// The message, minified, without `\u0000` and lone surrogates, with its objects in the order
        /// of `jsonb` (but for very large ones, and keys that are not plain).
        json: &'a str,
        /// Its members, if their places are known.
        members: Option<Members<'a>>,
        /// How many characters were replaced by U+FFFD.
        repairs: u32,
        /// How many users of its reactions were left out because it was too large with them.
        left_out: u64,
        /// Bytes of the document from the end of the message before (or the document's start) to this
        /// one's end.
        source_bytes: u64,
        /// It is known to be archived, if this is its id.
        archived: Option<Snowflake>,
    },
    /// One whole message that is known to be archived, needed no repair and shows nothing that is noticed.
    Archived {
        /// Its id.
        id: Snowflake,
        /// When it was sent.
        timestamp: DateTime<Utc>,
        /// As above.
        source_bytes: u64,
    },
    /// The root object is closed and its counts agree. Whether the document is whole says
    /// [`Framer::finish`](super::frame::Framer::finish), which has seen what comes after.
    End {
        /// The document's `messageCount`, if it has one.
        message_count: Option<u64>,
    },
}

/// How a document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentEnd {
    /// Closed, with as many messages as it says.
    Complete {
        /// Messages handed out.
        messages: u64,
        /// The document's `messageCount`, if it has one.
        message_count: Option<u64>,
    },
    /// Not closed, or no JSON from some point on.
    Cut {
        /// Messages handed out; one more may have been dropped because nothing followed it.
        messages: u64,
        /// Offset of the first byte that cannot stand where it stands; `None` if the bytes just ended.
        broken_at: Option<u64>,
    },
}

/// Why a document is none of DCE's. It is JSON as far as it was read, so this is no matter of waiting for the
/// rest: reading on would lose messages in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Something else than an export.
    #[error("the document is not a JSON object")]
    NotAnObject,
    /// The root object is closed, or its messages begin, without a usable channel id before.
    #[error("the document names no channel id before its messages")]
    NoChannel,
    /// Numbers beyond all bounds, for example.
    #[error("the document's properties outside of its messages cannot be read")]
    UnreadableProperties,
    /// The root object is closed.
    #[error("the document has no `messages`")]
    NoMessages,
    /// Something else than an array.
    #[error("the document's `messages` is not an array")]
    MessagesNotAnArray,
    /// A second array would have to be merged with the first.
    #[error("the document has `messages` twice")]
    MessagesTwice,
    /// An element of the array that is no object.
    #[error("message {index} of the document is not an object")]
    MessageNotAnObject {
        /// Counted from 0.
        index: u64,
    },
    /// More than the limit given to [`Framer::new`](super::frame::Framer::new), even without the users of its reactions.
    #[error("message {index} of the document is larger than {limit} bytes")]
    MessageTooLarge {
        /// Counted from 0.
        index: u64,
        /// In bytes, after minifying.
        limit: usize,
    },
    /// The header, or what follows the messages, is larger than a message may be.
    #[error("the document's properties outside of its messages are larger than {limit} bytes")]
    PropertiesTooLarge {
        /// In bytes, after minifying.
        limit: usize,
    },
    /// Brackets in brackets.
    #[error("the document is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// `messageCount` is there, but no count.
    #[error("the document's `messageCount` is not a number")]
    CountUnreadable,
    /// Messages were lost, or added by other hands.
    #[error("the document says it has {declared} messages but has {found}")]
    CountMismatch {
        /// `messageCount`.
        declared: u64,
        /// Messages in the array.
        found: u64,
    },
}

/// Why reading cannot go on.
pub(super) enum Fault {
    /// No JSON from here on: the document was cut.
    Broken,
    /// JSON, but not what it should be.
    Document(FrameError),
}

impl From<GrammarFault> for Fault {
    fn from(fault: GrammarFault) -> Self {
        match fault {
            GrammarFault::Misplaced => Self::Broken,
            GrammarFault::TooDeep => Self::Document(FrameError::TooDeep),
        }
    }
}

impl From<BadEscape> for Fault {
    fn from(BadEscape: BadEscape) -> Self {
        Self::Broken
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Document(error)
    }
}
