//! Links.

use super::{Content, Found, Text};

/// `[name](target)` within a line.
pub(in super::super) fn named(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let start = text.find("[", at)?;
        let line = Text { text: text.text, end: text.line_end(start) };
        if let Some((name_end, url_end)) = named_in_line(line, start + 1) {
            let content = Content::Link { url: name_end + 2..url_end, name: start + 1..name_end };
            return Some(Found { start, end: url_end + 1, content });
        }
        // What is missing after this bracket is missing after a later one of the line, too.
        at = line.end;
    }
}

/// The ends of name and target.
fn named_in_line(line: Text<'_>, name: usize) -> Option<(usize, usize)> {
    let name_end = line.find("](", line.after(name)?)?;
    let url_end = line.find(")", line.after(name_end + 2)?)?;
    Some((name_end, url_end))
}

/// `http://` or `https://` and everything up to white space, without punctuation at the end.
pub(in super::super) fn bare(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let start = text.find("http", at)?;
        if let Some(url) = url(text, start) {
            let kept = url.text.trim_end_matches(is_punctuation);
            if kept.len() > url.scheme {
                let end = start + kept.len();
                return Some(Found {
                    start,
                    end,
                    content: Content::Link { url: start..end, name: end..end },
                });
            }
        }
        at = start + 4;
    }
}

/// The same between `<` and `>`.
pub(in super::super) fn in_angle_brackets(text: Text<'_>, mut at: usize) -> Option<Found> {
    loop {
        let start = text.find("<http", at)?;
        at = start + 1;
        if let Some(url) = url(text, at) {
            if let Some(length) = last_bracket(&url) {
                let (start_of_url, end) = (start + 1, start + 1 + length);
                let content = Content::Link { url: start_of_url..end, name: end..end };
                return Some(Found { start, end: end + 1, content });
            }
            at += url.text.len();
        }
    }
}

/// What may be a URL.
struct Url<'a> {
    /// Up to white space.
    text: &'a str,
    /// Length of the scheme with its slashes.
    scheme: usize,
}

fn url(text: Text<'_>, at: usize) -> Option<Url<'_>> {
    let rest = text.text.get(at..text.end)?;
    let scheme = ["http://", "https://"].iter().find(|scheme| rest.starts_with(**scheme))?.len();
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    Some(Url { text: &rest[..end], scheme })
}

/// The length of the URL before the last `>` that may follow one.
fn last_bracket(url: &Url<'_>) -> Option<usize> {
    let (rest, scheme) = (&url.text[url.scheme..], url.scheme);
    rest.rmatch_indices('>')
        .map(|(at, _)| at)
        .find(|&at| rest[..at].chars().next_back().is_some_and(|last| !is_punctuation(last)))
        .map(|at| scheme + at)
}

const fn is_punctuation(c: char) -> bool {
    matches!(c, '.' | ',' | ':' | ';' | '"' | '\'')
}
