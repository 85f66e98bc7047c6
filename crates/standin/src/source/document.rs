//! Parses a recorded document: head, whole messages, and how it ends.

use std::io;

use crate::header::{DATE_RANGE_LINE, Header};
use crate::snowflake::Snowflake;

/// Line that begins the messages; an empty array is closed on it.
pub(super) const MESSAGES_LINE: &[u8] = b"  \"messages\": [";
/// Line that begins a message.
pub(super) const MESSAGE_START: &[u8] = b"    {\n";
/// End of a message: deeper objects are indented further, and strings hold no line breaks.
const MESSAGE_END: &[u8] = b"\n    }";
/// What the postamble writes first when it closes a message that was not finished.
const COUNT_IN_MESSAGE: &[u8] = b",\n      \"messageCount\": ";

/// A document in DCE's layout, whole or not.
pub struct Document {
    pub header: Header,
    pub messages: Vec<(Snowflake, Vec<u8>)>,
    pub end: DocumentEnd,
}

/// How a document ends.
#[derive(Debug, PartialEq, Eq)]
pub enum DocumentEnd {
    /// With DCE's postamble.
    Closed,
    /// After a whole message, without the postamble.
    Open,
    /// Inside a message of this beginning, closed by the postamble.
    Cut(Snowflake, Vec<u8>),
    /// Inside a message of this beginning.
    Torn(Vec<u8>),
}

impl Document {
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "not a document in DCE's layout");
        let head = find(bytes, DATE_RANGE_LINE).ok_or_else(broken)?;
        let header = Header::from_bytes(bytes[..head].to_vec())?;
        let start = find(bytes, MESSAGES_LINE).ok_or_else(broken)? + MESSAGES_LINE.len();
        let mut document = Self { header, messages: Vec::new(), end: DocumentEnd::Closed };
        if bytes[start..].starts_with(b"]") {
            return Ok(document);
        }
        let mut at = start + 1;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(end) = message_end(rest) else {
                document.end = DocumentEnd::Torn(rest.to_vec());
                return Ok(document);
            };
            let (message, followed_by) = rest.split_at(end);
            let id = id_of(message).ok_or_else(broken)?;
            if followed_by.is_empty()
                && let Some(cut) = rfind(message, COUNT_IN_MESSAGE)
            {
                document.end = DocumentEnd::Cut(id, message[..cut].to_vec());
                return Ok(document);
            }
            document.messages.push((id, message.to_vec()));
            if !followed_by.starts_with(b",\n") {
                let is_closed = followed_by.starts_with(b"\n  ]");
                document.end = if is_closed { DocumentEnd::Closed } else { DocumentEnd::Open };
                return Ok(document);
            }
            at += end + 2;
        }
    }
}

/// The length of the message that these bytes begin with, if it has an end.
fn message_end(rest: &[u8]) -> Option<usize> {
    find(rest.strip_prefix(MESSAGE_START)?, MESSAGE_END)
        .map(|at| MESSAGE_START.len() + at + MESSAGE_END.len())
}

/// The id of a message: the value of its first line.
pub(super) fn id_of(message: &[u8]) -> Option<Snowflake> {
    let id = message.strip_prefix(MESSAGE_START)?.strip_prefix(b"      \"id\": \"")?;
    let id = &id[..id.iter().position(|&byte| byte == b'"')?];
    std::str::from_utf8(id).ok()?.parse().map(Snowflake).ok()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

pub(super) fn rfind(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|window| window == what)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Document, DocumentEnd};

    fn recorded(case: &str) -> Document {
        let path = crate::scenario::recording(case).join("out/part.json");
        Document::parse(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn the_end_of_each_recording_is_recognised() {
        let whole = recorded("small");
        assert_eq!((whole.messages.len(), whole.end), (12, DocumentEnd::Closed));
        let empty = recorded("empty");
        assert_eq!((empty.messages.len(), empty.end), (0, DocumentEnd::Closed));
        let killed = recorded("sigterm");
        assert_eq!((killed.messages.len() % 100, killed.end), (0, DocumentEnd::Open));
        let cut = recorded("sigint-inside-message");
        assert!(
            cut.messages.is_empty()
                && matches!(cut.end, DocumentEnd::Cut(_, bytes) if bytes.ends_with(b"\n      ]"))
        );
    }
}
