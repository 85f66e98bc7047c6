//! Text between two equal marks.

use super::{Content, Found, Text};
use crate::unicode::is_word;

/// Finds `open`, at least one character, and the next `close`. `may_open` is asked about the character after `open`,
/// `may_close` about those around `close`; both `None` at an end.
fn between(
    text: Text<'_>,
    mut at: usize,
    mark: &str,
    may_open: impl Fn(char) -> bool,
    may_close: impl Fn(Option<char>, Option<char>) -> bool,
) -> Option<Found> {
    loop {
        let start = text.find(mark, at)?;
        let inside = start + mark.len();
        let first = text.char_at(inside)?;
        if !may_open(first) {
            at = start + 1;
            continue;
        }
        let mut from = inside + first.len_utf8();
        loop {
            // What closes nothing here closes nothing that begins later, either.
            let close = text.find(mark, from)?;
            let end = close + mark.len();
            if may_close(text.char_before(close), text.char_at(end)) {
                return Some(Found { start, end, content: Content::Text(inside..close) });
            }
            from = close + 1;
        }
    }
}

fn not_before(mark: char) -> impl Fn(Option<char>, Option<char>) -> bool {
    move |_, after| after != Some(mark)
}

/// Both marks together: the inner ones belong to the content, in which nothing but `inner` counts.
fn nested(text: Text<'_>, at: usize, mark: char, inner: super::Pattern) -> Option<Found> {
    let marks: String = [mark; 3].iter().collect();
    let mut found = between(text, at, &marks, |_| true, not_before(mark))?;
    found.content = Content::Only(inner, found.start + 1..found.end - 1);
    Some(found)
}

pub(in super::super) fn italic_bold(text: Text<'_>, at: usize) -> Option<Found> {
    nested(text, at, '*', bold)
}

pub(in super::super) fn italic_underline(text: Text<'_>, at: usize) -> Option<Found> {
    nested(text, at, '_', underline)
}

pub(in super::super) fn bold(text: Text<'_>, at: usize) -> Option<Found> {
    between(text, at, "**", |_| true, not_before('*'))
}

pub(in super::super) fn italic(text: Text<'_>, at: usize) -> Option<Found> {
    let may_close = |before: Option<char>, after| {
        before.is_some_and(|before| !before.is_whitespace() && before != '*') && after != Some('*')
    };
    between(text, at, "*", |first| !first.is_whitespace(), may_close)
}

pub(in super::super) fn underline(text: Text<'_>, at: usize) -> Option<Found> {
    between(text, at, "__", |_| true, not_before('_'))
}

pub(in super::super) fn italic_alternative(text: Text<'_>, at: usize) -> Option<Found> {
    between(text, at, "_", |_| true, |_, after: Option<char>| !after.is_some_and(is_word))
}

pub(in super::super) fn strikethrough(text: Text<'_>, at: usize) -> Option<Found> {
    between(text, at, "~~", |_| true, |_, _| true)
}

pub(in super::super) fn spoiler(text: Text<'_>, at: usize) -> Option<Found> {
    between(text, at, "||", |_| true, |_, _| true)
}
