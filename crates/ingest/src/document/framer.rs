//! Cuts a DCE document into its messages while DCE is still writing it.
//!
//! One pass over chunks of any size in constant memory: finds the root key `messages`, minifies each message, puts its
//! objects into `jsonb`'s order and replaces by U+FFFD what Postgres would refuse. Accepts any layout of valid JSON.
//!
//! A message is emitted only when its follower is seen: the next message, or the array's end. A DCE that was stopped closes
//! a half-written message so that it parses, with fields missing and an invented `messageCount` (DCE 2.47: one stop in
//! five), and then nothing follows.

use serde_json::Value;

use super::frame::{DocumentEnd, Frame, FrameError};
use super::header::Header;
use crate::json::grammar::{Bracket, GrammarFault, IN_MESSAGE};
use crate::json::key_order::Members;
use crate::json::scan::{begins_value, whitespace_len};
use crate::json::string_copier::valid_utf8;
use crate::json::token::Copied;
use crate::json::token_copier::{TokenCopier, TokenFault};

/// Default limit of a message, in bytes after minifying. Discord's limits allow far less for a message without reactions,
/// and jsonb ends at 256 MB.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Replaces the messages when the rest of the root object is read as JSON of its own.
const TAIL_OPENING: &[u8] = br#"{"messages":null"#;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Cuts one document into frames.
#[derive(Debug)]
pub struct Framer {
    max_message: usize,
    section: Section,
    /// Copies the message, or the root object around the messages.
    tokens: TokenCopier,
    /// Whether the latest key of the root object is `messages`.
    at_messages: bool,
    /// Whether the copy is a whole message that waits for its follower.
    held: bool,
    message_count: Option<u64>,
    messages: u64,
    /// Offset of the current chunk in the document.
    offset: u64,
    /// Offsets of the end of the latest whole message and of the latest emitted one.
    message_end: u64,
    emitted_end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Before the root object, behind `mark` bytes of a byte order mark.
    Start {
        mark: usize,
    },
    /// In the root object, before the messages.
    Head,
    Messages,
    /// In the root object, after the messages.
    Tail,
    Closed,
    Broken {
        at: u64,
    },
    /// Behind an error.
    Failed,
}

/// What to do with a token of the document's outline.
enum Step {
    Copy,
    Done,
    Event(Event),
}

enum Event {
    Header(Box<Header>),
    /// The held message has a follower, whose opening bracket has been read.
    Followed,
    End,
}

/// Why reading stops.
enum Fault {
    /// The rest is not JSON: the document was cut.
    NotJson,
    /// The document is JSON, but DCE did not write it.
    Document(FrameError),
}

impl From<TokenFault> for Fault {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::NotJson => Self::NotJson,
            TokenFault::TooDeep => Self::Document(FrameError::TooDeep),
        }
    }
}

impl From<GrammarFault> for Fault {
    fn from(fault: GrammarFault) -> Self {
        TokenFault::from(fault).into()
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::Document(error)
    }
}

impl Framer {
    /// A framer at the start of a document. From messages larger than `max_message` bytes after minifying
    /// ([`MAX_MESSAGE_BYTES`] suits DCE) it drops the users of reactions. Memory is bounded by that size, for a moment
    /// twice, plus the size of a chunk.
    pub fn new(max_message: usize) -> Self {
        Self {
            max_message,
            section: Section::Start { mark: 0 },
            tokens: TokenCopier::new(max_message),
            at_messages: false,
            held: false,
            message_count: None,
            messages: 0,
            offset: 0,
            message_end: 0,
            emitted_end: 0,
        }
    }

    /// Reads the next bytes and passes each frame that became certain to `sink`. After an error of the document or of
    /// `sink`, further bytes are ignored and [`Framer::finish`] returns `Cut`.
    pub fn push<E: From<FrameError>>(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while at < chunk.len() && !matches!(self.section, Section::Broken { .. } | Section::Failed) {
            let emitted = match self.advance(chunk, &mut at) {
                Ok(None) => Ok(()),
                Ok(Some(event)) => self.emit(event, sink),
                Err(Fault::NotJson) => {
                    self.section = Section::Broken { at: self.offset + at as u64 };
                    Ok(())
                }
                Err(Fault::Document(error)) => Err(error.into()),
            };
            if let Err(error) = emitted {
                self.section = Section::Failed;
                return Err(error);
            }
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Number of messages emitted so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Ends the bytes and returns whether the document is complete. A message without a follower is dropped.
    pub fn finish(self) -> DocumentEnd {
        let messages = self.messages;
        match self.section {
            Section::Closed => DocumentEnd::Complete { messages, message_count: self.message_count },
            Section::Broken { at } => DocumentEnd::Cut { messages, broken_at: Some(at) },
            _ => DocumentEnd::Cut { messages, broken_at: None },
        }
    }

    fn emit<E>(&mut self, event: Event, sink: &mut impl FnMut(Frame<'_>) -> Result<(), E>) -> Result<(), E> {
        match event {
            Event::Header(header) => sink(Frame::Header(header)),
            Event::End => sink(Frame::End { message_count: self.message_count }),
            Event::Followed => {
                let source_bytes = self.message_end - self.emitted_end;
                self.emitted_end = self.message_end;
                self.held = false;
                self.messages += 1;
                let repaired = self.tokens.take_repairs();
                let (json, replaced) = valid_utf8(&self.tokens.buf);
                // A replacement moves the members behind it.
                let members = (replaced == 0)
                    .then(|| Members::new(&json, self.tokens.members(), self.tokens.are_in_order()));
                let repairs = repaired.saturating_add(replaced);
                let dropped_users = self.tokens.dropped_users();
                sink(Frame::Message { json: &json, members, repairs, dropped_users, source_bytes })?;
                self.begin_follower();
                Ok(())
            }
        }
    }

    /// Reads up to the next event or the chunk's end.
    fn advance(&mut self, chunk: &[u8], at: &mut usize) -> Result<Option<Event>, Fault> {
        while *at < chunk.len() {
            if self.tokens.is_between() {
                if self.tokens.grammar.depth() >= IN_MESSAGE && !self.tokens.drops_users() {
                    self.tokens.copy_simple(chunk, at)?;
                }
                *at += whitespace_len(&chunk[*at..]);
                let Some(&byte) = chunk.get(*at) else { break };
                // Messages begin below the two levels of the document's outline.
                if self.tokens.grammar.depth() < IN_MESSAGE {
                    match self.outline(byte, at)? {
                        Step::Copy => {}
                        Step::Done => continue,
                        Step::Event(event) => return Ok(Some(event)),
                    }
                }
            }
            let copied = self.tokens.copy(chunk, at)?;
            if self.tokens.grammar.depth() < IN_MESSAGE {
                self.copied(copied, *at)?;
            }
        }
        self.tokens.free_dropped_users();
        self.check_size()?;
        Ok(None)
    }

    /// Handles a token of the outline that was copied up to `at`.
    fn copied(&mut self, copied: Copied, at: usize) -> Result<(), Fault> {
        match (copied, self.tokens.grammar.depth()) {
            (Copied::String, 1) if self.tokens.grammar.after_key() => self.end_key()?,
            (Copied::Mark(b'}'), 2) if self.section == Section::Messages => {
                self.check_size()?;
                self.held = true;
                self.message_end = self.offset + at as u64;
            }
            _ => {}
        }
        Ok(())
    }

    /// Handles the first byte of a token of the document's outline: around, in, or directly below the root object.
    fn outline(&mut self, byte: u8, at: &mut usize) -> Result<Step, Fault> {
        match (self.section, byte) {
            (Section::Start { mark }, _) => self.start(byte, mark, at),
            (Section::Messages, _) => self.between_messages(byte, at),
            _ if self.tokens.grammar.depth() != 1 => Ok(Step::Copy),
            (Section::Head, b'[') if self.at_messages && self.tokens.grammar.wants_value() => {
                self.tokens.grammar.open(Bracket::Array)?;
                *at += 1;
                self.end_head()
            }
            (Section::Head, _)
                if self.at_messages && self.tokens.grammar.wants_value() && begins_value(byte) =>
            {
                Err(FrameError::MessagesNotAnArray.into())
            }
            (Section::Head, b'}') => {
                self.tokens.grammar.close(Bracket::Object)?;
                Err(FrameError::NoMessages.into())
            }
            (Section::Tail, b'}') => {
                self.tokens.grammar.close(Bracket::Object)?;
                *at += 1;
                self.end_tail()
            }
            _ => Ok(Step::Copy),
        }
    }

    fn start(&mut self, byte: u8, mark: usize, at: &mut usize) -> Result<Step, Fault> {
        if byte == b'{' && (mark == 0 || mark == BYTE_ORDER_MARK.len()) {
            self.section = Section::Head;
            return Ok(Step::Copy);
        }
        let is_mark = BYTE_ORDER_MARK.get(mark) == Some(&byte) && self.offset + *at as u64 == mark as u64;
        if !is_mark {
            return Err(FrameError::NotAnObject.into());
        }
        self.section = Section::Start { mark: mark + 1 };
        *at += 1;
        Ok(Step::Done)
    }

    fn between_messages(&mut self, byte: u8, at: &mut usize) -> Result<Step, Fault> {
        match byte {
            b',' => self.tokens.grammar.comma()?,
            b'{' => self.tokens.grammar.open(Bracket::Object)?,
            b']' => self.tokens.grammar.close(Bracket::Array)?,
            _ if self.tokens.grammar.wants_value() && begins_value(byte) => {
                return Err(FrameError::MessageNotAnObject { index: self.index() }.into());
            }
            _ => return Err(Fault::NotJson),
        }
        *at += 1;
        if byte != b',' {
            if self.held {
                return Ok(Step::Event(Event::Followed));
            }
            self.begin_follower();
        }
        Ok(Step::Done)
    }

    /// Prepares for the follower of a message or of the array's opening bracket: another message, or the tail.
    fn begin_follower(&mut self) {
        if self.tokens.grammar.depth() == 1 {
            self.section = Section::Tail;
            self.tokens.restart(TAIL_OPENING);
        } else {
            self.tokens.restart(b"{");
        }
    }

    /// Handles a key of the root object.
    fn end_key(&mut self) -> Result<(), FrameError> {
        // serde_json, because a key may contain escapes.
        let key = serde_json::from_slice::<String>(self.tokens.latest());
        self.at_messages = key.is_ok_and(|key| key == "messages");
        if self.at_messages && self.section == Section::Tail {
            return Err(FrameError::MessagesTwice);
        }
        Ok(())
    }

    /// Handles the messages' opening bracket.
    fn end_head(&mut self) -> Result<Step, Fault> {
        self.check_size()?;
        self.tokens.buf.extend_from_slice(b"null}");
        let root = self.read_properties()?;
        let header = Header::from_root(&root).ok_or(FrameError::NoChannel)?;
        self.tokens.take_repairs();
        self.tokens.restart(b"");
        self.section = Section::Messages;
        Ok(Step::Event(Event::Header(Box::new(header))))
    }

    /// Handles the root object's closing bracket.
    fn end_tail(&mut self) -> Result<Step, Fault> {
        self.check_size()?;
        self.tokens.buf.push(b'}');
        self.read_properties()?;
        if let Some(declared) = self.message_count.filter(|declared| *declared != self.messages) {
            return Err(FrameError::CountMismatch { declared, found: self.messages }.into());
        }
        self.section = Section::Closed;
        Ok(Step::Event(Event::End))
    }

    /// Reads the root object as far as it was copied, and its `messageCount`.
    fn read_properties(&mut self) -> Result<Value, FrameError> {
        let (json, _) = valid_utf8(&self.tokens.buf);
        let root: Value = serde_json::from_str(&json).map_err(|_| FrameError::UnreadableProperties)?;
        match &root["messageCount"] {
            Value::Null => {}
            count => self.message_count = Some(count.as_u64().ok_or(FrameError::CountUnreadable)?),
        }
        Ok(root)
    }

    /// Checks the size of the copy, whole or not: it only grows.
    fn check_size(&mut self) -> Result<(), Fault> {
        let limit = self.max_message;
        if self.tokens.len() <= limit {
            return Ok(());
        }
        if self.section != Section::Messages {
            return Err(FrameError::PropertiesTooLarge { limit }.into());
        }
        if !self.tokens.drops_users() {
            self.tokens.drop_users()?;
            return self.check_size();
        }
        Err(FrameError::MessageTooLarge { index: self.index(), limit }.into())
    }

    /// Index of the message being read, from 0.
    fn index(&self) -> u64 {
        self.messages + u64::from(self.held)
    }
}
