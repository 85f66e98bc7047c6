//! Reading over a message that is archived already, of which nothing is stored: several times faster than copying it. Pure.
//!
//! Nothing must be overlooked for that. What is skimmed would have been read without a fault, needs no repair and shows
//! nothing that is noticed (`notice.rs`); of anything else, and of any message that is not all there yet or looks unusual,
//! nothing is said, and it is read in full.

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;

use super::grammar::{IN_MESSAGE, MAX_DEPTH};
use super::scan::{is_scalar, plain_len, scalar_len, whitespace_len};
use super::timestamp;

/// What is to be known of an archived message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skimmed {
    /// Its id.
    pub(super) id: Snowflake,
    /// When it was sent.
    pub(super) timestamp: DateTime<Utc>,
}

/// The id of the message behind whose opening bracket `text` begins, if that is its first member, as DCE writes it.
pub(super) fn leading_id(text: &[u8]) -> Option<Snowflake> {
    let mut cursor = Cursor { text, at: 0 };
    if cursor.key()? == b"id" { id(cursor.plain_string()?) } else { None }
}

/// Reads over the message behind whose opening bracket `text` begins. Also says where in `text` it ends, behind its closing
/// bracket.
pub(super) fn skim(text: &[u8]) -> Option<(Skimmed, usize)> {
    let mut cursor = Cursor { text, at: 0 };
    let mut members = Members::default();
    loop {
        let key = cursor.key()?;
        members.read(key, &mut cursor)?;
        match cursor.mark()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let end = cursor.at;
    // What is no UTF-8 is repaired.
    std::str::from_utf8(&text[..end]).ok()?;
    Some((members.skimmed()?, end))
}

/// The members that are looked at. Of a key that is there twice the last value counts, which is left to others.
#[derive(Default)]
struct Members {
    id: Option<Snowflake>,
    timestamp: Option<DateTime<Utc>>,
    /// Whether there is any text.
    content: Option<bool>,
    author: bool,
    reactions: bool,
}

impl Members {
    fn read(&mut self, key: &[u8], cursor: &mut Cursor<'_>) -> Option<()> {
        match key {
            b"id" => once(&mut self.id, id(cursor.plain_string()?)?),
            b"timestamp" => {
                let text = std::str::from_utf8(cursor.plain_string()?).ok()?;
                once(&mut self.timestamp, timestamp::utc(text)?)
            }
            b"content" => {
                cursor.peek()?;
                let start = cursor.at;
                cursor.string()?;
                once(&mut self.content, cursor.at - start > r#""""#.len())
            }
            b"author" => {
                once_seen(&mut self.author)?;
                cursor.object(IN_MESSAGE, |cursor, key| match key {
                    b"id" | b"name" => cursor.string(),
                    _ => cursor.value(IN_MESSAGE + 1),
                })
            }
            b"reactions" => {
                once_seen(&mut self.reactions)?;
                cursor.reactions()
            }
            _ => cursor.value(IN_MESSAGE),
        }
    }

    /// A message without text may be blank, and one without an author is none of DCE's.
    fn skimmed(self) -> Option<Skimmed> {
        let has_text = self.content? && self.author;
        has_text.then_some(Skimmed { id: self.id?, timestamp: self.timestamp? })
    }
}

fn once<T>(member: &mut Option<T>, value: T) -> Option<()> {
    member.replace(value).is_none().then_some(())
}

fn once_seen(seen: &mut bool) -> Option<()> {
    (!std::mem::replace(seen, true)).then_some(())
}

fn id(digits: &[u8]) -> Option<Snowflake> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A place in JSON. Each reading begins with any whitespace and ends right behind what was read; `None`: it is not there,
/// not all of it, or not what it should be.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<u8> {
        self.at += whitespace_len(self.text.get(self.at..)?);
        self.text.get(self.at).copied()
    }

    fn mark(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// A string without escapes, without its quotes.
    fn plain_string(&mut self) -> Option<&'a [u8]> {
        if self.mark()? != b'"' {
            return None;
        }
        let rest = self.text.get(self.at..)?;
        let len = plain_len(rest);
        self.at += len + 1;
        (rest.get(len) == Some(&b'"')).then(|| &rest[..len])
    }

    /// A key without escapes, and its colon.
    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.plain_string()?;
        (self.mark()? == b':').then_some(key)
    }

    /// A string that needs no repair.
    fn string(&mut self) -> Option<()> {
        if self.mark()? != b'"' {
            return None;
        }
        loop {
            self.at += plain_len(self.text.get(self.at..)?);
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// What is behind a `\`.
    fn escape(&mut self) -> Option<()> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.unit()? {
                0 | 0xDC00..=0xDFFF => None,
                0xD800..=0xDBFF => {
                    self.at += self.text.get(self.at..)?.starts_with(br"\u").then_some(2)?;
                    matches!(self.unit()?, 0xDC00..=0xDFFF).then_some(())
                }
                _ => Some(()),
            },
            _ => None,
        }
    }

    /// The four digits of a UTF-16 unit.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += digits.len();
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(unit << 4 | u16::try_from(digit).ok()?)
        })
    }

    /// Any value, with so many brackets open around it.
    fn value(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b'{' => self.object(depth, |cursor, _| cursor.value(depth + 1)),
            b'[' => self.array(depth, |cursor| cursor.value(depth + 1)),
            _ => self.scalar().map(|_| ()),
        }
    }

    fn scalar(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let rest = self.text.get(self.at..)?;
        let scalar = &rest[..scalar_len(rest)];
        self.at += scalar.len();
        // What ends with the text may go on.
        (scalar.len() < rest.len() && is_scalar(scalar)).then_some(scalar)
    }

    /// An object in so many brackets; `member` reads the value behind each key.
    fn object(
        &mut self,
        depth: u32,
        mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>,
    ) -> Option<()> {
        if self.mark()? != b'{' || depth >= MAX_DEPTH {
            return None;
        }
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            match self.mark()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// An array in so many brackets; `element` reads each of its elements.
    fn array(&mut self, depth: u32, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.mark()? != b'[' || depth >= MAX_DEPTH {
            return None;
        }
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            element(self)?;
            match self.mark()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reactions that list everybody whom they count.
    fn reactions(&mut self) -> Option<()> {
        self.array(IN_MESSAGE, |cursor| {
            let (mut count, mut listed) = (None, None);
            cursor.object(IN_MESSAGE + 1, |cursor, key| match key {
                b"count" => once(&mut count, number(cursor.scalar()?)?),
                b"users" => {
                    let mut users = 0_u64;
                    cursor.array(IN_MESSAGE + 2, |cursor| {
                        users += 1;
                        cursor.value(IN_MESSAGE + 3)
                    })?;
                    once(&mut listed, users)
                }
                _ => cursor.value(IN_MESSAGE + 2),
            })?;
            (count? <= listed?).then_some(())
        })
    }
}

fn number(scalar: &[u8]) -> Option<u64> {
    std::str::from_utf8(scalar).ok()?.parse().ok()
}
