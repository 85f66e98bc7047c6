//! Copies JSON token by token: minified, repaired, checked against the grammar, its objects in `jsonb`'s order.

use super::append::append;
use super::grammar::{Bracket, Grammar, GrammarFault, IN_MESSAGE};
use super::key_order::{Member, Objects};
use super::scan::{MAX_NUMBER_LEN, is_scalar, is_scalar_byte, plain_len, scalar_len, whitespace_len};
use super::string_copier::{BadEscape, StringCopier, StringEnd};
use super::token::Copied;
use super::user_filter::UserFilter;

/// Capacity kept from one message to the next, in bytes. An oversized message's memory is freed.
const KEPT_CAPACITY: usize = 256 << 10;

/// Reads tokens from chunks of any size and keeps a copy.
#[derive(Debug)]
pub(crate) struct TokenCopier {
    pub(crate) grammar: Grammar,
    /// The copy.
    pub(crate) buf: Vec<u8>,
    state: State,
    strings: StringCopier,
    /// Start of the latest string or scalar in `buf`.
    start: usize,
    objects: Objects,
    /// Present while the users of reactions are dropped.
    user_filter: Option<UserFilter>,
}

/// The token that the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    String,
    Scalar,
}

/// A token that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// No JSON from here on.
    NotJson,
    /// Nested deeper than [`super::grammar::MAX_DEPTH`].
    TooDeep,
}

impl From<GrammarFault> for TokenFault {
    fn from(fault: GrammarFault) -> Self {
        match fault {
            GrammarFault::Misplaced => Self::NotJson,
            GrammarFault::TooDeep => Self::TooDeep,
        }
    }
}

impl From<BadEscape> for TokenFault {
    fn from(BadEscape: BadEscape) -> Self {
        Self::NotJson
    }
}

impl TokenCopier {
    /// A copier at the beginning of a document whose copies mostly have at most `usual` bytes.
    pub(crate) fn new(usual: usize) -> Self {
        Self {
            grammar: Grammar::new(),
            buf: Vec::with_capacity(KEPT_CAPACITY.min(usual)),
            state: State::Between,
            strings: StringCopier::new(),
            start: 0,
            objects: Objects::default(),
            user_filter: None,
        }
    }

    /// Whether the latest token was read to its end.
    pub(crate) const fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// The latest string or scalar. Valid while nothing is copied after it.
    pub(crate) fn latest(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Bytes of the copy, without users that are about to be dropped.
    pub(crate) fn len(&self) -> usize {
        self.user_filter.as_ref().and_then(UserFilter::kept_len).unwrap_or(self.buf.len())
    }

    /// Begins a new copy with the bytes of `opening`.
    pub(crate) fn restart(&mut self, opening: &[u8]) {
        self.user_filter = None;
        self.objects.restart();
        self.buf.clear();
        if self.buf.capacity() > KEPT_CAPACITY {
            self.buf.shrink_to(KEPT_CAPACITY);
        }
        self.buf.extend_from_slice(opening);
    }

    /// The members of the copied message. Valid while nothing is copied after it.
    pub(crate) fn members(&self) -> &[Member] {
        self.objects.of_message()
    }

    /// Whether all objects of the copy are in order, except for very large ones.
    pub(crate) const fn are_in_order(&self) -> bool {
        self.objects.are_in_order()
    }

    /// Number of characters replaced since the last call.
    pub(crate) fn take_repairs(&mut self) -> u32 {
        self.strings.take_repairs()
    }

    /// Copies one token, or as much of it as `chunk[*at..]` has, and moves `at` behind it. Between tokens `at` stands on
    /// a token's first byte.
    #[inline]
    pub(crate) fn copy(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, TokenFault> {
        if self.user_filter.is_some() {
            return self.copy_without_users(chunk, at);
        }
        let copied = self.copy_all(chunk, at)?;
        self.note(copied);
        Ok(copied)
    }

    #[inline]
    fn copy_all(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, TokenFault> {
        match self.state {
            State::Between => self.begin(chunk, at),
            State::String => self.string(chunk, at),
            State::Scalar => self.scalar(chunk, at),
        }
    }

    /// The fast loop: copies whole tokens without escapes from the inside of a message, each with the colon or comma right
    /// behind it. Stops at anything else, including the message's closing bracket, and leaves it to [`Self::copy`]. Does
    /// the same as `copy` in half the time; nearly all of a document goes this way.
    pub(crate) fn copy_simple(&mut self, chunk: &[u8], at: &mut usize) -> Result<(), TokenFault> {
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

    /// Copies `len` bytes, and `mark` if it is the next byte. Returns the number of copied bytes.
    #[inline]
    fn copy_with(&mut self, rest: &[u8], len: usize, mark: u8) -> Result<usize, TokenFault> {
        let is_marked = rest.get(len) == Some(&mark);
        if is_marked {
            if mark == b',' { self.grammar.comma()? } else { self.grammar.colon()? }
        }
        let len = len + usize::from(is_marked);
        append(&mut self.buf, rest, len);
        Ok(len)
    }

    // Not inlined: only an oversized message needs it.
    #[inline(never)]
    fn copy_without_users(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, TokenFault> {
        if let (State::Between, Some(filter)) = (self.state, &mut self.user_filter) {
            filter.before_token(chunk[*at], &self.grammar);
        }
        let copied = self.copy_all(chunk, at)?;
        if self.user_filter.as_ref().is_none_or(|filter| filter.kept_len().is_none()) {
            self.note(copied);
        }
        if let Some(filter) = self.user_filter.as_mut().filter(|_| copied != Copied::Partly) {
            filter.after_token(copied, &self.grammar, self.start, &mut self.buf);
        }
        Ok(copied)
    }

    /// Records the positions of members, and orders those of a closed object.
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
    fn begin(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, TokenFault> {
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
            _ => return Err(TokenFault::NotJson),
        }
        self.buf.push(byte);
        *at += 1;
        Ok(Copied::Mark(byte))
    }

    fn string(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, TokenFault> {
        if self.strings.copy(chunk, at, &mut self.buf)? == StringEnd::Open {
            return Ok(Copied::Partly);
        }
        self.state = State::Between;
        Ok(Copied::String)
    }

    fn scalar(&mut self, chunk: &[u8], at: &mut usize) -> Result<Copied, TokenFault> {
        let rest = &chunk[*at..];
        let len = scalar_len(rest);
        self.buf.extend_from_slice(&rest[..len]);
        *at += len;
        if len == rest.len() {
            return Ok(Copied::Partly);
        }
        self.state = State::Between;
        if is_scalar(self.latest()) { Ok(Copied::Scalar) } else { Err(TokenFault::NotJson) }
    }

    /// At a chunk's end, frees the copy of a token that will be dropped, except for the bytes that the next chunk needs.
    pub(crate) fn free_dropped_users(&mut self) {
        let Some(kept) = self.user_filter.as_ref().and_then(UserFilter::kept_len) else { return };
        match self.state {
            State::Between => {}
            State::String => self.strings.forget(kept, &mut self.buf),
            // One more than a number may have, so that an overlong number is still refused.
            State::Scalar => self.buf.truncate(kept + MAX_NUMBER_LEN + 1),
        }
    }

    /// Whether the users of this message's reactions are dropped.
    pub(crate) const fn drops_users(&self) -> bool {
        self.user_filter.is_some()
    }

    /// Number of users dropped from this message.
    pub(crate) fn dropped_users(&self) -> u64 {
        self.user_filter.as_ref().map_or(0, UserFilter::dropped)
    }

    /// Copies the message so far again without the users of its reactions, and drops them from now on. For a moment this
    /// takes the message's memory twice.
    pub(crate) fn drop_users(&mut self) -> Result<(), TokenFault> {
        let (copied, repairs) = (std::mem::take(&mut self.buf), self.strings.take_repairs());
        let opening = 1;
        *self = Self {
            grammar: Grammar::in_message(),
            buf: copied[..opening].to_vec(),
            state: State::Between,
            strings: StringCopier::with_repairs(repairs),
            start: 0,
            objects: Objects::default(),
            user_filter: Some(UserFilter::default()),
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

    fn feed(tokens: &mut TokenCopier, chunk: &[u8]) {
        let mut at = 0;
        while at < chunk.len() {
            tokens.copy(chunk, &mut at).map_err(|_| "no JSON").unwrap();
        }
        tokens.free_dropped_users();
    }

    #[test]
    fn dropped_users_take_no_memory_however_large_they_are() {
        let mut tokens = TokenCopier { grammar: Grammar::in_message(), ..TokenCopier::new(0) };
        tokens.restart(b"{");
        feed(&mut tokens, br#""reactions":[{"users":[{"name":"#);
        tokens.drop_users().map_err(|_| "no JSON").unwrap();
        let mut largest = 0;
        // Chunks that end inside escapes, with half a surrogate pair pending.
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
            (tokens.dropped_users(), tokens.take_repairs()),
            (2, 1),
            "the half of a pair was replaced"
        );
        assert!(largest < 64 << 10, "{largest} bytes");
    }
}
