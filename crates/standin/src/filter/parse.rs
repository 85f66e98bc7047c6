//! Parses filters: as in DCE, `|` has the same precedence as `&` and a blank, from left to right.

use super::{Filter, Kind};

/// A syntax error with its position, in DCE's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Syntax error (line 1, column {column}): unexpected {found}, expected {expected}.")]
pub(crate) struct SyntaxError {
    column: usize,
    found: String,
    expected: &'static str,
}

const KINDS: [(&str, Kind); 8] = [
    ("link", Kind::Link),
    ("embed", Kind::Embed),
    ("file", Kind::File),
    ("video", Kind::Video),
    ("image", Kind::Image),
    ("sound", Kind::Sound),
    ("pin", Kind::Pin),
    ("invite", Kind::Invite),
];

pub(super) fn parse(text: &str) -> Result<Filter, SyntaxError> {
    let mut parser = Parser { text, at: 0 };
    let filter = parser.chain()?;
    match parser.peek() {
        None => Ok(filter),
        Some(_) => Err(parser.unexpected("end of input")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().filter(|&next| wanted(next));
        self.at += found.map_or(0, char::len_utf8);
        found.is_some()
    }

    fn skip_blanks(&mut self) {
        while self.skip(char::is_whitespace) {}
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = self.rest().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn unexpected(&self, expected: &'static str) -> SyntaxError {
        let found = self.peek().map_or_else(|| "end of input".into(), |next| format!("`{next}`"));
        SyntaxError { column: self.text[..self.at].chars().count() + 1, found, expected }
    }

    fn chain(&mut self) -> Result<Filter, SyntaxError> {
        let mut filter = self.single()?;
        loop {
            self.skip_blanks();
            if matches!(self.peek(), None | Some(')')) {
                return Ok(filter);
            }
            let is_or = self.skip(|next| next == '|');
            if !is_or {
                self.skip(|next| next == '&');
            }
            let (one, other) = (Box::new(filter), Box::new(self.single()?));
            filter = if is_or { Filter::Or(one, other) } else { Filter::And(one, other) };
        }
    }

    fn single(&mut self) -> Result<Filter, SyntaxError> {
        self.skip_blanks();
        if self.skip(|next| matches!(next, '-' | '~')) {
            return self.single().map(|filter| Filter::Not(Box::new(filter)));
        }
        if self.skip(|next| next == '(') {
            let filter = self.chain()?;
            return if self.skip(|next| next == ')') { Ok(filter) } else { Err(self.unexpected("`)`")) };
        }
        if self.keyword("from:") {
            return self.string().map(Filter::From);
        }
        if self.keyword("mentions:") {
            return self.string().map(Filter::Mentions);
        }
        if self.keyword("reaction:") {
            return self.string().map(Filter::Reaction);
        }
        if self.keyword("has:") {
            let kind = KINDS.iter().find(|(word, _)| self.keyword(word));
            return match kind {
                Some((_, kind)) => Ok(Filter::Has(*kind)),
                None => {
                    Err(self
                        .unexpected("`link`, `embed`, `file`, `video`, `image`, `sound`, `pin` or `invite`"))
                }
            };
        }
        self.string().map(Filter::Contains)
    }

    /// Parses text in quotes, or up to a blank or an operator; a backslash escapes the next character.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let quote = self.peek().filter(|next| matches!(next, '"' | '\''));
        self.at += quote.map_or(0, char::len_utf8);
        let mut text = String::new();
        while let Some(next) = self.peek() {
            let ends = match quote {
                Some(quote) => next == quote,
                None => {
                    next.is_whitespace() || matches!(next, '(' | ')' | '"' | '\'' | '-' | '~' | '|' | '&')
                }
            };
            if ends {
                break;
            }
            self.at += next.len_utf8();
            let escaped = if next == '\\' { self.peek() } else { None };
            self.at += escaped.map_or(0, char::len_utf8);
            text.push(escaped.unwrap_or(next));
        }
        match quote {
            Some(quote) if self.skip(|next| next == quote) => Ok(text),
            None if !text.is_empty() => Ok(text),
            _ => Err(self.unexpected("text string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Kind, parse};

    fn from(name: &str) -> Filter {
        Filter::From(name.into())
    }

    #[test]
    fn examples_of_dces_documentation_are_parsed() {
        let has_image = || Box::new(Filter::Has(Kind::Image));
        assert_eq!(parse("from:user24 | has:image"), Ok(Filter::Or(Box::new(from("user24")), has_image())));
        assert_eq!(parse(" -from:user24"), Ok(Filter::Not(Box::new(from("user24")))));
        assert_eq!(
            parse("~(from:'a b' has:image)"),
            Ok(Filter::Not(Box::new(Filter::And(Box::new(from("a b")), has_image()))))
        );
    }

    #[test]
    fn a_syntax_error_names_its_column() {
        let error = parse("from:(").unwrap_err().to_string();
        assert_eq!(error, "Syntax error (line 1, column 6): unexpected `(`, expected text string.");
    }
}
