//! What hides links: code, escaped characters, custom emoji.

use super::{Content, Found, Text};
use crate::unicode::is_word;

const SHRUG: &str = "¯\\_(ツ)_/¯";

const fn hidden(start: usize, end: usize) -> Found {
    Found { start, end, content: Content::Hidden }
}

pub(in super::super) fn shrug(text: Text<'_>, at: usize) -> Option<Found> {
    text.find(SHRUG, at).map(|start| hidden(start, start + SHRUG.len()))
}

/// A backslash before anything but a Latin letter, a digit or white space.
pub(in super::super) fn escaped(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let start = text.find("\\", at)?;
        let escaped = text.char_at(start + 1)?;
        if !escaped.is_ascii_alphanumeric() && !escaped.is_whitespace() {
            return Some(hidden(start, start + 1 + escaped.len_utf8()));
        }
        at = start + 1;
    }
}

pub(in super::super) fn code_block(text: Text<'_>, at: usize) -> Option<Found> {
    const FENCE: &str = "```";
    let start = text.find(FENCE, at)?;
    let inside = start + FENCE.len();
    let end_of_code = |code: usize| text.find(FENCE, text.after(code)?).map(|fence| fence + FENCE.len());
    // A word in the first line is the language, unless nothing would remain.
    let language = text.from(inside).trim_start_matches(is_word);
    let after_language = language.starts_with('\n').then(|| text.end - language.len() + 1);
    let end = after_language.and_then(end_of_code).or_else(|| end_of_code(inside))?;
    Some(hidden(start, end))
}

/// Code between one or two marks on each side, without such marks inside.
pub(in super::super) fn inline_code(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let start = text.find("`", at)?;
        let mark = if text.from(start).starts_with("``") { "``" } else { "`" };
        let inside = start + mark.len();
        let close = text.find("`", inside)?;
        if close > inside && text.from(close).starts_with(mark) {
            return Some(hidden(start, close + mark.len()));
        }
        at = start + 1;
    }
}

/// `<:name:id>` or `<a:name:id>`.
pub(in super::super) fn custom_emoji(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let start = text.find("<", at)?;
        at = start + 1;
        let name = if text.from(at).starts_with("a:") { at + 2 } else { at + 1 };
        if text.from(name - 1).starts_with(':') {
            let line = Text { text: text.text, end: text.line_end(name) };
            match end_of_emoji(line, name) {
                Some(end) => return Some(hidden(start, end)),
                // Nor does an emoji end that begins later in this line.
                None => at = line.end,
            }
        }
    }
}

/// The position after the first `:id>` that is not the first of the name.
fn end_of_emoji(line: Text<'_>, name: usize) -> Option<usize> {
    let mut at = line.after(name)?;
    loop {
        let id = line.find(":", at)? + 1;
        let rest = line.from(id).trim_start_matches(|digit: char| digit.is_ascii_digit());
        let end = line.end - rest.len();
        if end > id && rest.starts_with('>') {
            return Some(end + 1);
        }
        at = id;
    }
}
