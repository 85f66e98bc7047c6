//! The pieces of a document and the ways it can end.

use super::header::Header;
use crate::json::grammar::MAX_DEPTH;
use crate::json::key_order::Members;

/// A piece of a document, in the document's order: one header, the messages, one end.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Everything before the messages.
    Header(Box<Header>),
    /// One whole message.
    Message {
        /// The message: minified, without `\u0000` and lone surrogates, its objects in `jsonb`'s order (except for very
        /// large ones, and those with keys that are not plain ASCII).
        json: &'a str,
        /// The message's members, if their positions are known.
        members: Option<Members<'a>>,
        /// Number of characters replaced by U+FFFD.
        repairs: u32,
        /// Number of reactions' users dropped because the message was too large with them.
        dropped_users: u64,
        /// Bytes of the document from the end of the previous message (or the document's start) to the end of this one.
        source_bytes: u64,
    },
    /// The root object is closed and its counts agree. [`Framer::finish`](super::framer::Framer::finish) decides whether
    /// the document is complete, because it has seen all bytes.
    End {
        /// The document's `messageCount`, if it has one.
        message_count: Option<u64>,
    },
}

/// How a document ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentEnd {
    /// Closed, with as many messages as it declares.
    Complete {
        /// Messages emitted.
        messages: u64,
        /// The document's `messageCount`, if it has one.
        message_count: Option<u64>,
    },
    /// Not closed, or not JSON from some point on.
    Cut {
        /// Messages emitted. One more may have been dropped because nothing followed it.
        messages: u64,
        /// Offset of the first byte that is not JSON; `None` if the bytes just ended.
        broken_at: Option<u64>,
    },
}

/// A document that DCE did not write. It is JSON as far as it was read, so waiting for more bytes does not help, and reading
/// on would lose messages silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the document is not a JSON object")]
    NotAnObject,
    /// The root object ends, or its messages begin, before a usable channel id.
    #[error("the document names no channel id before its messages")]
    NoChannel,
    /// For example, a number beyond all bounds.
    #[error("the document's properties around its messages cannot be read")]
    UnreadableProperties,
    #[error("the document has no `messages`")]
    NoMessages,
    #[error("the document's `messages` is not an array")]
    MessagesNotAnArray,
    #[error("the document has `messages` twice")]
    MessagesTwice,
    #[error("message {index} of the document is not an object")]
    MessageNotAnObject {
        /// From 0.
        index: u64,
    },
    /// Larger than the limit of [`Framer::new`](super::framer::Framer::new), even without the users of its reactions.
    #[error("message {index} of the document is larger than {limit} bytes")]
    MessageTooLarge {
        /// From 0.
        index: u64,
        /// In bytes, after minifying.
        limit: usize,
    },
    /// The header, or the part behind the messages, is larger than a message may be.
    #[error("the document's properties around its messages are larger than {limit} bytes")]
    PropertiesTooLarge {
        /// In bytes, after minifying.
        limit: usize,
    },
    #[error("the document is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the document's `messageCount` is not a number")]
    CountUnreadable,
    /// Messages were lost, or somebody else added some.
    #[error("the document declares {declared} messages but has {found}")]
    CountMismatch {
        /// `messageCount`.
        declared: u64,
        /// Messages in the array.
        found: u64,
    },
}
