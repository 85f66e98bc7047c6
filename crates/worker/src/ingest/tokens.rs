//! Copying JSON token by token: minified, repaired and with its objects in `jsonb`'s order, with the grammar watching.

use super::append::append;
use super::document::Fault;
use super::grammar::{Bracket, Grammar, IN_MESSAGE};
use super::members::{Member, Objects};
use super::scan::{MAX_NUMBER_LEN, is_scalar, is_scalar_byte, plain_len, scalar_len, whitespace_len};
use super::text::{Progress, StringCopier};
use super::users::LeftOut;

/// Capacity kept from one message to the next; beyond it a giant's memory is given back.
const KEPT_CAPACITY: usize = 256 << 10;

/// Reads tokens from chunks of any size and keeps a copy.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) grammar: Grammar,
    /// What was copied.
    pub(super) buf: Vec<u8>,
    state: State,
    text: StringCopier,
    /// Where the latest string or scalar begins in `buf`.
    start: usize,
    objects: Objects,
    left_out: Option<LeftOut>,
}

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    String,
    Scalar,
}

/// How far a token was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// To the chunk's end; it may go on in the next one.
    Partly,
    /// A whole string.
    String,
    /// A whole number or literal.
    Scalar,
    /// A bracket, comma or colon.
    Mark(u8),
}

impl Tokens {
    /// At the beginning of a document, for copies that are mostly not longer than this.
    pub(super) fn new(usual: usize) -> Self {
        Self {
            grammar: Grammar::new(),
            buf: Vec::with_capacity(KEPT_CAPACITY.min(usual)),
            state: State::Between,
            text: StringCopier::new(),
            start: 0,
            objects: Objects::default(),
            left_out: None,
        }
    }

    /// Whether no token is half read.
    pub(super) const fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// The latest string or scalar, as long as nothing was copied after it.
    pub(super) fn latest(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Bytes of the copy, without what is about to be left out.
    pub(super) fn len(&self) -> usize {
        self.left_out.as_ref().and_then(LeftOut::inside).unwrap_or(self.buf.len())
    }

    /// Begins a new copy with these bytes.
    pub(super) fn restart(&mut self, opening: &[u8]) {
        self.left_out = None;
        self.objects.restart();
        self.buf.clear();
        if self.buf.capacity() > KEPT_CAPACITY {
            self.buf.shrink_to(KEPT_CAPACITY);
        }
        self.buf.extend_from_slice(opening);
    }

    /// The members of the object that was copied, as long as nothing was copied after it.
    pub(super) fn members(&self) -> &[Member] {
        self.objects.of_message()
    }

    /// Whether all objects of the copy were put in order, but for very large ones.
    pub(super) const fn are_in_order(&self) -> bool {
        self.objects.are_in_order()
    }

    /// Characters replaced since the last call.
    pub(super) fn take_repairs(&mut self) -> u32 {
        self.text.take_repairs()
    }

    /// Copies one token, or as much of it as `chunk[*at..]` has, and moves `at` behind that. Between tokens `at` stands
    /// on the first byte of one.
    #[inline]
    pub(super) fn copy(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, Fault> {
        if self.left_out.is_some() {
            return self.copy_leaving_out(chunk, at);
        }
        let copied = self.copy_all(chunk, at)?;
        self.note(copied);
        Ok(copied)
    }

    #[inline]
    fn copy_all(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, Fault> {
        match self.state {
            State::Between => self.begin(chunk, at),
            State::String => self.string(chunk, at),
            State::Scalar => self.scalar(chunk, at),
        }
    }

    /// Copies from the inside of a message what is simple: whole tokens without escapes, each with the colon or comma right
    /// behind it. Stops at anything else, the message's closing bracket included, which is [`Self::copy`]'s. Does what that
    /// does, twice as fast; nearly all of a document goes this way.
    pub(super) fn copy_simple(&mut self, chunk: &[u8], at: &mut usize) -> Result<(), Fault> {
        loop {
            *at += whitespace_len(&chunk[*at..]);
            let rest = &chunk[*at..];
            let Some(&byte) = rest.first() else { return Ok(()) };
            match byte {
                b'"' => {
                    let len = plain_len(&rest[1..]) + 2;
                    if rest.get(len - 1) != Some(&b'"') {
                        return Ok(());
                    }
                    self.grammar.string()?;
                    self.start = self.buf.len();
                    if self.grammar.after_key() {
                        self.objects.plain_key(&rest[1..len - 1], self.start);
                        *at += self.copy_with(rest, len, b':')?;
                    } else {
                        *at += self.copy_with(rest, len, b',')?;
                    }
                }
                b'}' | b']' if self.grammar.depth() == IN_MESSAGE => return Ok(()),
                b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                    let mark = self.begin(chunk, at)?;
                    self.note(mark);
                }
                _ => {
                    let len = scalar_len(rest);
                    if len == rest.len() || !is_scalar(&rest[..len]) {
                        return Ok(());
                    }
                    self.grammar.scalar()?;
                    self.start = self.buf.len();
                    *at += self.copy_with(rest, len, b',')?;
                }
            }
        }
    }

    /// Copies so many bytes, and one more if it is the mark that belongs there. Returns how many.
    #[inline]
    fn copy_with(&mut self, rest: &[u8], len: usize, mark: u8) -> Result<usize, Fault> {
        let is_marked = rest.get(len) == Some(&mark);
        if is_marked {
            if mark == b',' { self.grammar.comma()? } else { self.grammar.colon()? }
        }
        let len = len + usize::from(is_marked);
        append(&mut self.buf, rest, len);
        Ok(len)
    }

    /// Apart, because only a giant needs it.
    #[inline(never)]
    fn copy_leaving_out(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, Fault> {
        if let (State::Between, Some(left_out)) = (self.state, &mut self.left_out) {
            left_out.before(chunk[*at], &self.grammar);
        }
        let copied = self.copy_all(chunk, at)?;
        if self.left_out.as_ref().is_none_or(|left_out| left_out.inside().is_none()) {
            self.note(copied);
        }
        if let Some(left_out) = self.left_out.as_mut().filter(|_| copied != Copied::Partly) {
            left_out.after(copied, &self.grammar, self.start, &mut self.buf);
        }
        Ok(copied)
    }

    /// Keeps in mind where members are, and puts those of a closed object in order.
    #[inline]
    fn note(&mut self, copied: Copied) {
        match copied {
            Copied::String if self.grammar.after_key() => {
                self.objects.key(&self.buf[self.start + 1..self.buf.len() - 1], self.start);
            }
            Copied::Mark(b'{') => self.objects.open(),
            Copied::Mark(b'}') => self.objects.close(&mut self.buf),
            _ => {}
        }
    }

    #[inline]
    fn begin(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, Fault> {
        let byte = chunk[*at];
        match byte {
            b'"' => {
                self.grammar.string()?;
                self.start = self.buf.len();
                // Nearly every string needs no repair and lies within one chunk.
                let rest = &chunk[*at..];
                let closing = 1 + plain_len(&rest[1..]);
                if rest.get(closing) == Some(&b'"') {
                    append(&mut self.buf, rest, closing + 1);
                    *at += closing + 1;
                    return Ok(Copied::String);
                }
                self.state = State::String;
                self.buf.push(byte);
                *at += 1;
                return self.string(chunk, at);
            }
            b',' => self.grammar.comma()?,
            b':' => self.grammar.colon()?,
            b'{' => self.grammar.open(Bracket::Object)?,
            b'[' => self.grammar.open(Bracket::Array)?,
            b'}' => self.grammar.close(Bracket::Object)?,
            b']' => self.grammar.close(Bracket::Array)?,
            _ if is_scalar_byte(byte) => {
                self.grammar.scalar()?;
                self.state = State::Scalar;
                self.start = self.buf.len();
                return self.scalar(chunk, at);
            }
            _ => return Err(Fault::Broken),
        }
        self.buf.push(byte);
        *at += 1;
        Ok(Copied::Mark(byte))
    }

    fn string(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, Fault> {
        if self.text.copy(chunk, at, &mut self.buf)? == Progress::Open {
            return Ok(Copied::Partly);
        }
        self.state = State::Between;
        Ok(Copied::String)
    }

    fn scalar(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, Fault> {
        let rest = &chunk[*at..];
        let len = scalar_len(rest);
        self.buf.extend_from_slice(&rest[..len]);
        *at += len;
        if len == rest.len() {
            return Ok(Copied::Partly);
        }
        self.state = State::Between;
        if is_scalar(self.latest()) { Ok(Copied::Scalar) } else { Err(Fault::Broken) }
    }

    /// At a chunk's end, frees what was copied of a token that will be left out, but for what reading on needs.
    pub(super) fn forget_left_out(&mut self) {
        let Some(inside) = self.left_out.as_ref().and_then(LeftOut::inside) else { return };
        match self.state {
            State::Between => {}
            State::String => self.text.forget(inside, &mut self.buf),
            // One more than a number may have, so that it is still refused.
            State::Scalar => self.buf.truncate(inside + MAX_NUMBER_LEN + 1),
        }
    }

    /// Whether the users of this message's reactions are left out.
    pub(super) const fn leaves_users_out(&self) -> bool {
        self.left_out.is_some()
    }

    /// How many users were left out of this message.
    pub(super) fn users_left_out(&self) -> u64 {
        self.left_out.as_ref().map_or(0, LeftOut::users)
    }

    /// The message is too large with the users of its reactions: goes over what was copied of it once more without
    /// them, and reads on like that. Takes as much memory again as there is of the message, for a moment.
    pub(super) fn leave_users_out(&mut self) -> Result<(), Fault> {
        let (copied, repairs) = (std::mem::take(&mut self.buf), self.text.take_repairs());
        let opening = 1;
        *self = Self {
            grammar: Grammar::in_message(),
            buf: copied[..opening].to_vec(),
            state: State::Between,
            text: StringCopier::after(repairs),
            start: 0,
            objects: Objects::default(),
            left_out: Some(LeftOut::default()),
        };
        let mut at = opening;
        while at < copied.len() {
            self.copy(&copied, &mut at)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(tokens: &mut Tokens, chunk: &[u8]) {
        let mut at = 0;
        while at < chunk.len() {
            tokens.copy(chunk, &mut at).map_err(|_| "no JSON").unwrap();
        }
        tokens.forget_left_out();
    }

    #[test]
    fn users_that_are_left_out_take_no_memory_however_large_they_are() {
        let mut tokens = Tokens { grammar: Grammar::in_message(), ..Tokens::new(0) };
        tokens.restart(b"{");
        feed(&mut tokens, br#""reactions":[{"users":[{"name":"#);
        tokens.leave_users_out().map_err(|_| "no JSON").unwrap();
        let mut largest = 0;
        // Chunks that end inside of escapes, half of a pair pending.
        for piece in [
            &[b'"'; 1][..],
            &[b'x'; 9000],
            br"\ud83",
            br"d\u",
            br"de00\ud83d",
            &[b'y'; 9000],
            br#"","age":"#,
            &[b'7'; 900],
        ] {
            for _ in 0..if piece.len() == 9000 { 1000 } else { 1 } {
                feed(&mut tokens, piece);
                largest = largest.max(tokens.buf.capacity());
            }
        }
        feed(&mut tokens, b"},2],\"count\":9}]}");
        assert_eq!(std::str::from_utf8(&tokens.buf).unwrap(), r#"{"reactions":[{"count":9,"users":[]}]}"#);
        assert_eq!(
            (tokens.users_left_out(), tokens.take_repairs()),
            (2, 1),
            "the half of a pair was replaced"
        );
        assert!(largest < 64 << 10, "{largest} bytes");
    }
}
