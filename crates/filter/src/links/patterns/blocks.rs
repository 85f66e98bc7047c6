//! What begins with a line: quotes, headings, lists.

use std::ops::Range;

use super::{Content, Found, Text};

/// The first of the lines that start at or after this position for which `read` returns something.
fn first_line<T>(text: Text<'_>, mut at: usize, read: impl Fn(usize) -> Option<T>) -> Option<(usize, T)> {
    if at > 0 && text.char_before(at) != Some('\n') {
        at = text.find("\n", at)? + 1;
    }
    loop {
        if at >= text.end {
            return None;
        }
        if let Some(found) = read(at) {
            return Some((at, found));
        }
        at = text.find("\n", at)? + 1;
    }
}

/// The position after a mark and a white space character.
fn marked(text: Text<'_>, at: usize, mark: &str) -> Option<usize> {
    text.from(at).starts_with(mark).then(|| text.skip_blank(at + mark.len())).flatten()
}

/// The rest of a line, with its line feed.
fn line(text: Text<'_>, at: usize) -> Range<usize> {
    at..text.find("\n", at).map_or(text.end, |end| end + 1)
}

fn is_empty_line(text: Text<'_>, at: usize) -> bool {
    text.line_end(at) == at
}

/// `>>> ` quotes everything that follows.
pub(in super::super) fn quote_to_the_end(text: Text<'_>, at: usize) -> Option<Found> {
    let quoted = |at| marked(text, at, ">>>").filter(|inside| *inside < text.end);
    let (start, inside) = first_line(text, at, quoted)?;
    Some(Found { start, end: text.end, content: Content::Text(inside..text.end) })
}

/// At least two lines that begin with `> `.
pub(in super::super) fn quoted_lines(text: Text<'_>, at: usize) -> Option<Found> {
    let read = |at: usize| {
        let mut lines = vec![line(text, marked(text, at, ">")?)];
        while let Some(last) = lines.last()
            && text.char_before(last.end) == Some('\n')
            && let Some(inside) = marked(text, last.end, ">")
        {
            lines.push(line(text, inside));
        }
        (lines.len() > 1).then_some(lines)
    };
    let (start, lines) = first_line(text, at, read)?;
    let end = lines.last()?.end;
    Some(Found { start, end, content: Content::Texts(lines) })
}

/// One line that begins with `> `.
pub(in super::super) fn quoted_line(text: Text<'_>, at: usize) -> Option<Found> {
    let quoted = |at| marked(text, at, ">").filter(|inside| !is_empty_line(text, *inside));
    let (start, inside) = first_line(text, at, quoted)?;
    let content = line(text, inside);
    Some(Found { start, end: content.end, content: Content::Text(content) })
}

/// One to three `#` before a line that is not the last.
pub(in super::super) fn heading(text: Text<'_>, at: usize) -> Option<Found> {
    let read = |at: usize| {
        let inside = ["#", "##", "###"].iter().find_map(|mark| marked(text, at, mark))?;
        let end = text.find("\n", inside)?;
        (end > inside).then_some(inside..end)
    };
    let (start, content) = first_line(text, at, read)?;
    Some(Found { start, end: content.end + 1, content: Content::Text(content) })
}

/// Lines that begin with `- ` or `* `, each with the indented lines that follow it.
pub(in super::super) fn list(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let (start, mut end) = first_line(text, at, |at| Some(text.skip_white_space(at)))?;
        let indent = text.from(start).get(..end - start)?;
        let mut items = Vec::new();
        let mut is_list = false;
        while let Some(inside) = marked(text, end, "-").or_else(|| marked(text, end, "*")) {
            is_list = true;
            let item = inside..end_of_item(text, inside, indent);
            end = item.end;
            items.push(item);
            if text.char_at(end) == Some('\n') {
                end += 1;
            }
        }
        if is_list {
            return Some(Found { start, end, content: Content::Texts(items) });
        }
        // No list begins in the blank lines that were skipped, either.
        at = end.max(start + 1);
        while !text.text.is_char_boundary(at) {
            at += 1;
        }
    }
}

/// The end of a list item: of its line, or of the last of the lines that are indented more than the list.
fn end_of_item(text: Text<'_>, at: usize, indent: &str) -> usize {
    let mut end = text.line_end(at);
    if end == at {
        return end;
    }
    while let Some(indented) = text.char_at(end).filter(|c| *c == '\n').and_then(|_| text.skip_blank(end + 1))
        && text.from(indented).starts_with(indent)
    {
        end = text.line_end(indented + indent.len());
    }
    end
}
