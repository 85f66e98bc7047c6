//! The patterns of Markdown. Each has a function that returns its next occurrence at or after a position.

pub(super) mod blocks;
pub(super) mod code;
pub(super) mod formatting;
pub(super) mod links;

use std::ops::Range;

pub(super) type Pattern = fn(Text<'_>, usize) -> Option<Found>;

/// An occurrence of a pattern.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) content: Content,
}

/// What is inside an occurrence.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Nothing that could contain links.
    Hidden,
    Text(Range<usize>),
    Texts(Vec<Range<usize>>),
    /// Text in which only this pattern counts.
    Only(Pattern, Range<usize>),
    Link {
        url: Range<usize>,
        name: Range<usize>,
    },
}

/// A text of which the part before `end` is read. What is before the position decides whether a line starts there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) end: usize,
}

impl Text<'_> {
    fn from(&self, at: usize) -> &str {
        self.text.get(at..self.end).unwrap_or_default()
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.from(at).chars().next()
    }

    fn char_before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    /// The position after the character at this one.
    fn after(&self, at: usize) -> Option<usize> {
        self.char_at(at).map(|passed| at + passed.len_utf8())
    }

    fn find(&self, wanted: &str, at: usize) -> Option<usize> {
        self.from(at).find(wanted).map(|found| at + found)
    }

    /// The end of the line, before its line feed.
    fn line_end(&self, at: usize) -> usize {
        self.find("\n", at).unwrap_or(self.end)
    }

    /// The position after white space.
    fn skip_white_space(&self, at: usize) -> usize {
        self.end - self.from(at).trim_start().len()
    }

    /// The position after a white space character at this one.
    fn skip_blank(&self, at: usize) -> Option<usize> {
        self.char_at(at).filter(|blank| blank.is_whitespace()).map(|blank| at + blank.len_utf8())
    }
}
