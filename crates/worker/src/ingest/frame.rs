//! Cutting a DCE document into its messages while DCE is still writing it.
//!
//! One pass over chunks of any size, in constant memory: finds the root key `messages`, minifies each
//! message, orders its objects as `jsonb` does and replaces by U+FFFD what Postgres would refuse. Any layout of valid JSON
//! will do.
//!
//! A message is handed out only when its follower is seen: the next message, or the array's end. A DCE
//! that was stopped closes a half-written message so that it parses, with fields missing and an invented
//! `messageCount` (DCE 2.47: one stop in five), and then nothing follows.

use dce_core::ids::Snowflake;
use serde_json::Value;

use super::document::Fault;
pub use super::document::{DocumentEnd, Frame, FrameError, Members};
use super::grammar::{Bracket, IN_MESSAGE};
use super::header::{self, Header};
use super::scan::{begins_value, whitespace_len};
use super::skim::{Skimmed, leading_id, skim};
use super::text::valid_utf8;
use super::tokens::{Copied, Tokens};

/// Largest message accepted unless told otherwise, in bytes after minifying: 16 MiB, far beyond what Discord's
/// limits allow a message without reactions, and far below the 256 MB where jsonb ends.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// What stands for the messages when the rest of the root object is read as JSON of its own.
const TAIL_OPENING: &[u8] = br#"{"messages":null"#;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Reads one document; see the module.
#[derive(Debug)]
pub struct Framer {
    max_message: usize,
    place: Place,
    /// Copies the message, or the root object around the messages.
    tokens: Tokens,
    /// The latest key of the root object is `messages`.
    at_messages: bool,
    /// The next byte is the first behind a message's opening bracket.
    at_start: bool,
    /// The copy is a whole message that waits for its follower.
    held: bool,
    /// What is held was skimmed, not copied.
    skimmed: Option<Skimmed>,
    /// The id of a message that is known to be archived and is copied all the same.
    known_id: Option<Snowflake>,
    message_count: Option<u64>,
    messages: u64,
    /// Bytes of the chunks before this one.
    offset: u64,
    /// Offset of the end of the latest whole message, and of the one before.
    message_end: u64,
    emitted_end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the root object, with this many bytes of a byte order mark.
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
    /// An error was returned.
    Failed,
}

/// What becomes of a token at the document's outline.
enum Step {
    Copy,
    Done,
    Event(Event),
}

enum Event {
    Header(Box<Header>),
    /// The held message has its follower, of which the bracket has been read.
    Followed,
    End,
}

impl Framer {
    /// A reader at the start of a document that accepts messages up to `max_message` bytes after minifying
    /// ([`MAX_MESSAGE_BYTES`] suits DCE). Of a larger one the users of its reactions are left out.
    /// Memory is bounded by that (for a moment twice) and the size of a chunk.
    pub fn new(max_message: usize) -> Self {
        Self {
            max_message,
            place: Place::Start { mark: 0 },
            tokens: Tokens::new(max_message),
            at_messages: false,
            at_start: false,
            held: false,
            skimmed: None,
            known_id: None,
            message_count: None,
            messages: 0,
            offset: 0,
            message_end: 0,
            emitted_end: 0,
        }
    }

    /// Reads the next bytes and gives `sink` what became certain by them. After an error, of the document or
    /// of `sink`, the document is over: further bytes are ignored and [`Framer::finish`] says `Cut`.
    pub fn push<E: From<FrameError>>(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.push_beside(chunk, &mut |_| false, sink)
    }

    /// As [`Framer::push`], when it is known of some messages that they are archived.
    pub fn push_beside<E: From<FrameError>>(
        &mut self,
        chunk: &[u8],
        is_archived: &mut impl FnMut(Snowflake) -> bool,
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while at < chunk.len() && !matches!(self.place, Place::Broken { .. } | Place::Failed) {
            let emitted = match self.advance(chunk, &mut at, is_archived) {
                Ok(None) => Ok(()),
                Ok(Some(event)) => self.emit(event, sink),
                Err(Fault::Broken) => {
                    self.place = Place::Broken { at: self.offset + at as u64 };
                    Ok(())
                }
                Err(Fault::Document(error)) => Err(error.into()),
            };
            if let Err(error) = emitted {
                self.place = Place::Failed;
                return Err(error);
            }
        }
        self.offset += chunk.len() as u64;
        Ok(())
    }

    /// Messages handed out so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// There are no more bytes: says whether the document is whole. A message without a follower is dropped.
    pub fn finish(self) -> DocumentEnd {
        let messages = self.messages;
        match self.place {
            Place::Closed => DocumentEnd::Complete { messages, message_count: self.message_count },
            Place::Broken { at } => DocumentEnd::Cut { messages, broken_at: Some(at) },
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
                if let Some(Skimmed { id, timestamp }) = self.skimmed.take() {
                    sink(Frame::Archived { id, timestamp, source_bytes })?;
                    self.begin_follower();
                    return Ok(());
                }
                let repaired = self.tokens.take_repairs();
                let (json, replaced) = valid_utf8(&self.tokens.buf);
                // What was replaced has moved them.
                let members = (replaced == 0)
                    .then(|| Members::new(&json, self.tokens.members(), self.tokens.are_in_order()));
                let (repairs, left_out) = (repaired.saturating_add(replaced), self.tokens.users_left_out());
                let archived = self.known_id;
                sink(Frame::Message { json: &json, members, repairs, left_out, source_bytes, archived })?;
                self.begin_follower();
                Ok(())
            }
        }
    }

    /// Reads up to the next event or the chunk's end.
    fn advance(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
        is_archived: &mut impl FnMut(Snowflake) -> bool,
    ) -> Result<Option<Event>, Fault> {
        while *at < chunk.len() {
            if std::mem::take(&mut self.at_start) && self.skim(chunk, at, is_archived)? {
                continue;
            }
            if self.tokens.is_between() {
                if self.tokens.grammar.depth() >= IN_MESSAGE && !self.tokens.leaves_users_out() {
                    self.tokens.copy_simple(chunk, at)?;
                }
                *at += whitespace_len(&chunk[*at..]);
                let Some(&byte) = chunk.get(*at) else { break };
                // The inside of messages is deeper than the two levels that make a document.
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
        self.tokens.forget_left_out();
        self.check_size()?;
        Ok(None)
    }

    /// Reads over a message that is archived, if it is all in this chunk and needs nothing else. Whether it did.
    fn skim(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
        is_archived: &mut impl FnMut(Snowflake) -> bool,
    ) -> Result<bool, Fault> {
        let rest = &chunk[*at..];
        self.known_id = leading_id(rest).filter(|id| is_archived(*id));
        let skimmed = self.known_id.and_then(|_| skim(rest)).filter(|(_, len)| *len < self.max_message);
        let Some((skimmed, len)) = skimmed else { return Ok(false) };
        self.tokens.grammar.close(Bracket::Object)?;
        *at += len;
        self.message_end = self.offset + *at as u64;
        self.skimmed = Some(skimmed);
        self.held = true;
        Ok(true)
    }

    /// A token of the outline was copied up to `at`.
    fn copied(&mut self, copied: Copied, at: usize) -> Result<(), Fault> {
        match (copied, self.tokens.grammar.depth()) {
            (Copied::String, 1) if self.tokens.grammar.after_key() => self.end_key()?,
            (Copied::Mark(b'}'), 2) if self.place == Place::Messages => {
                self.check_size()?;
                self.held = true;
                self.message_end = self.offset + at as u64;
            }
            _ => {}
        }
        Ok(())
    }

    /// Looks at one token at the document's outline: around, directly in, or directly below the root object.
    fn outline(&mut self, byte: u8, at: &mut usize) -> Result<Step, Fault> {
        match (self.place, byte) {
            (Place::Start { mark }, _) => self.start(byte, mark, at),
            (Place::Messages, _) => self.between_messages(byte, at),
            _ if self.tokens.grammar.depth() != 1 => Ok(Step::Copy),
            (Place::Head, b'[') if self.at_messages && self.tokens.grammar.wants_value() => {
                self.tokens.grammar.open(Bracket::Array)?;
                *at += 1;
                self.end_head()
            }
            (Place::Head, _)
                if self.at_messages && self.tokens.grammar.wants_value() && begins_value(byte) =>
            {
                Err(FrameError::MessagesNotAnArray.into())
            }
            (Place::Head, b'}') => {
                self.tokens.grammar.close(Bracket::Object)?;
                Err(FrameError::NoMessages.into())
            }
            (Place::Tail, b'}') => {
                self.tokens.grammar.close(Bracket::Object)?;
                *at += 1;
                self.end_tail()
            }
            _ => Ok(Step::Copy),
        }
    }

    fn start(&mut self, byte: u8, mark: usize, at: &mut usize) -> Result<Step, Fault> {
        if byte == b'{' && (mark == 0 || mark == BYTE_ORDER_MARK.len()) {
            self.place = Place::Head;
            return Ok(Step::Copy);
        }
        let is_mark = BYTE_ORDER_MARK.get(mark) == Some(&byte) && self.offset + *at as u64 == mark as u64;
        if !is_mark {
            return Err(FrameError::NotAnObject.into());
        }
        self.place = Place::Start { mark: mark + 1 };
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
            _ => return Err(Fault::Broken),
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

    /// Prepares for what follows a message, or the array's opening bracket: a message, or the tail.
    fn begin_follower(&mut self) {
        if self.tokens.grammar.depth() == 1 {
            self.place = Place::Tail;
            self.tokens.restart(TAIL_OPENING);
        } else {
            self.tokens.restart(b"{");
            self.at_start = true;
        }
    }

    /// A key of the root object was read.
    fn end_key(&mut self) -> Result<(), FrameError> {
        // Through serde_json, because a key may be written with escapes.
        let key = serde_json::from_slice::<String>(self.tokens.latest());
        self.at_messages = key.is_ok_and(|key| key == "messages");
        if self.at_messages && self.place == Place::Tail {
            return Err(FrameError::MessagesTwice);
        }
        Ok(())
    }

    /// The messages' opening bracket was read.
    fn end_head(&mut self) -> Result<Step, Fault> {
        self.check_size()?;
        self.tokens.buf.extend_from_slice(b"null}");
        let root = self.read_properties()?;
        let header = Header::of(&root).ok_or(FrameError::NoChannel)?;
        self.tokens.take_repairs();
        self.tokens.restart(b"");
        self.place = Place::Messages;
        Ok(Step::Event(Event::Header(Box::new(header))))
    }

    /// The root object's closing bracket was read.
    fn end_tail(&mut self) -> Result<Step, Fault> {
        self.check_size()?;
        self.tokens.buf.push(b'}');
        self.read_properties()?;
        if let Some(declared) = self.message_count.filter(|declared| *declared != self.messages) {
            return Err(FrameError::CountMismatch { declared, found: self.messages }.into());
        }
        self.place = Place::Closed;
        Ok(Step::Event(Event::End))
    }

    /// The root object as far as it was copied, with `messageCount` noted.
    fn read_properties(&mut self) -> Result<Value, FrameError> {
        let root = header::root(&self.tokens.buf)?;
        self.message_count = header::message_count(&root)?.or(self.message_count);
        Ok(root)
    }

    /// Judges the size of the copy, whole or not: it only grows.
    fn check_size(&mut self) -> Result<(), Fault> {
        let limit = self.max_message;
        if self.tokens.len() <= limit {
            return Ok(());
        }
        if self.place != Place::Messages {
            return Err(FrameError::PropertiesTooLarge { limit }.into());
        }
        if !self.tokens.leaves_users_out() {
            self.tokens.leave_users_out()?;
            return self.check_size();
        }
        Err(FrameError::MessageTooLarge { index: self.index(), limit }.into())
    }

    /// Which message is being read, from 0.
    fn index(&self) -> u64 {
        self.messages + u64::from(self.held)
    }
}
