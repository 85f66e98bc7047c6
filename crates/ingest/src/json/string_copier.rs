//! Copies the inside of JSON strings and rewrites what Postgres would refuse. The only decoder of escapes.
//!
//! `text` and `jsonb` accept neither `\u0000` nor a lone surrogate escape; one of them would fail a whole COPY. Each
//! becomes U+FFFD and is counted as a repair, as does a raw NUL. Other raw control characters, which JSON forbids, are
//! escaped: that loses nothing and is no repair.

use std::borrow::Cow;

use super::scan::plain_len;

/// How far a string was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StringEnd {
    /// Up to and including its closing quote.
    Closed,
    /// Up to the chunk's end; the string continues in the next chunk.
    Open,
}

/// A `\` with an unknown letter behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEscape;

#[derive(Debug, Clone, Copy)]
enum State {
    Plain,
    /// After `\`.
    Escape,
    /// After `\u` and this many hexadecimal digits.
    Hex {
        digits: u8,
        unit: u16,
    },
}

/// Copies strings, each in any number of pieces.
#[derive(Debug)]
pub(crate) struct StringCopier {
    state: State,
    /// Position in the output of a high surrogate's escape that waits for its low half.
    high: Option<usize>,
    repairs: u32,
}

/// Overwrites an escape in place: `\u0000` and `\ufffd` are equally long.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

impl StringCopier {
    pub(crate) const fn new() -> Self {
        Self::with_repairs(0)
    }

    /// A copier between strings that has already counted `repairs`.
    pub(crate) const fn with_repairs(repairs: u32) -> Self {
        Self { state: State::Plain, high: None, repairs }
    }

    /// Number of repairs since the last call.
    pub(crate) fn take_repairs(&mut self) -> u32 {
        std::mem::take(&mut self.repairs)
    }

    /// Copies from `chunk[*at..]`, which lies inside a string, and moves `at` behind the copied bytes. After an error `at`
    /// stands on the wrong byte.
    pub(crate) fn copy(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<StringEnd, BadEscape> {
        while let Some(rest) = chunk.get(*at..).filter(|rest| !rest.is_empty()) {
            match self.state {
                State::Plain => {
                    let run = plain_len(rest);
                    if run > 0 {
                        self.give_up_high(out);
                        out.extend_from_slice(&rest[..run]);
                        *at += run;
                    }
                    match rest.get(run) {
                        None => break,
                        Some(b'"') => {
                            self.give_up_high(out);
                            out.push(b'"');
                            *at += 1;
                            return Ok(StringEnd::Closed);
                        }
                        Some(b'\\') => {
                            out.push(b'\\');
                            self.state = State::Escape;
                        }
                        Some(&control) => {
                            self.give_up_high(out);
                            self.control(control, out);
                        }
                    }
                }
                State::Escape => self.escape(rest[0], out)?,
                State::Hex { digits, unit } => self.hex_digit(rest[0], digits, unit, out)?,
            }
            *at += 1;
        }
        Ok(StringEnd::Open)
    }

    /// Removes the copy of an open string from `start` on, except for an escape that is not judged yet.
    pub(crate) fn forget(&mut self, start: usize, out: &mut Vec<u8>) {
        let unfinished = match self.state {
            State::Plain => 0,
            State::Escape => 1,
            State::Hex { digits, .. } => 2 + usize::from(digits),
        };
        out.drain(start..self.high.unwrap_or(out.len() - unfinished));
        self.high = self.high.map(|_| start);
    }

    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), BadEscape> {
        self.state = match byte {
            b'u' => State::Hex { digits: 0, unit: 0 },
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.give_up_high(out);
                State::Plain
            }
            _ => return Err(BadEscape),
        };
        out.push(byte);
        Ok(())
    }

    fn hex_digit(&mut self, byte: u8, digits: u8, unit: u16, out: &mut Vec<u8>) -> Result<(), BadEscape> {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(BadEscape),
        };
        let unit = unit << 4 | u16::from(value);
        out.push(byte);
        if digits < 3 {
            self.state = State::Hex { digits: digits + 1, unit };
        } else {
            self.state = State::Plain;
            self.unit(unit, out);
        }
        Ok(())
    }

    /// Judges the escape of one UTF-16 unit at the end of the output.
    fn unit(&mut self, unit: u16, out: &mut [u8]) {
        let start = out.len() - REPLACEMENT.len();
        match unit {
            0xDC00..=0xDFFF if self.high.take().is_some() => {}
            0xD800..=0xDBFF => {
                self.give_up_high(out);
                self.high = Some(start);
            }
            0 | 0xDC00..=0xDFFF => {
                self.give_up_high(out);
                self.replace(start, out);
            }
            _ => self.give_up_high(out),
        }
    }

    /// Escapes a raw control character.
    fn control(&mut self, byte: u8, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(b"\\u00");
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 0xF)]);
        if byte == 0 {
            self.replace(out.len() - REPLACEMENT.len(), out);
        }
    }

    /// Replaces a pending high surrogate whose low half did not come.
    fn give_up_high(&mut self, out: &mut [u8]) {
        if let Some(start) = self.high.take() {
            self.replace(start, out);
        }
    }

    fn replace(&mut self, start: usize, out: &mut [u8]) {
        out[start..start + REPLACEMENT.len()].copy_from_slice(REPLACEMENT);
        self.repairs = self.repairs.saturating_add(1);
    }
}

/// Replaces each invalid sequence by U+FFFD. Returns the text and the number of replacements.
pub(crate) fn valid_utf8(bytes: &[u8]) -> (Cow<'_, str>, u32) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (Cow::Borrowed(text), 0);
    }
    let invalid = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
    (Cow::Owned(String::from_utf8_lossy(bytes).into_owned()), u32::try_from(invalid).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output and repairs for the inside of one string, copied in pieces of `step` bytes.
    fn copied(inside: &[u8], step: usize) -> (String, u32) {
        let (mut copier, mut out) = (StringCopier::new(), Vec::new());
        let quoted = [inside, b"\""].concat();
        let closed = quoted
            .chunks(step)
            .any(|piece| copier.copy(piece, &mut 0, &mut out).unwrap() == StringEnd::Closed);
        assert!(closed, "{inside:?} is not closed");
        assert_eq!(out.pop(), Some(b'"'));
        (String::from_utf8(out).unwrap(), copier.take_repairs())
    }

    #[test]
    fn escapes_that_postgres_refuses_are_replaced_and_counted() {
        for (given, expected, repairs) in [
            (r"a\u0000b", r"a\ufffdb", 1),
            (r"a\\u0000b", r"a\\u0000b", 0),
            (r"a\\\u0000b", r"a\\\ufffdb", 1),
            (r"\ud83d\uDE00", r"\ud83d\uDE00", 0),
            (r"\ud83d", r"\ufffd", 1),
            (r"\ud83dx", r"\ufffdx", 1),
            (r"\ud83d\n", r"\ufffd\n", 1),
            (r"\ud83d\u0041", r"\ufffd\u0041", 1),
            (r"\ud83d\u0000", r"\ufffd\ufffd", 2),
            (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00", 1),
            (r"\ude00\ud83d", r"\ufffd\ufffd", 2),
            ("a\0b", r"a\ufffdb", 1),
            ("\u{1}\n\t\u{1f}\u{7f}", "\\u0001\\u000a\\u0009\\u001f\u{7f}", 0),
            (r#"\"\\\/\b\f\n\r\t"#, r#"\"\\\/\b\f\n\r\t"#, 0),
        ] {
            for step in 1..=given.len() + 1 {
                assert_eq!(
                    copied(given.as_bytes(), step),
                    (expected.to_owned(), repairs),
                    "{given} by {step}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_escape_is_refused() {
        for text in [r"\x", r"\u12g4", r"\u+123", "\\\n"] {
            assert_eq!(
                StringCopier::new().copy(text.as_bytes(), &mut 0, &mut Vec::new()),
                Err(BadEscape),
                "{text}"
            );
        }
    }

    #[test]
    fn invalid_utf8_is_replaced_and_counted() {
        assert_eq!(valid_utf8("길드".as_bytes()), (Cow::Borrowed("길드"), 0));
        assert_eq!(valid_utf8(b"a\xffb\xe2\x82c"), (Cow::Owned("a\u{fffd}b\u{fffd}c".to_owned()), 2));
    }
}
