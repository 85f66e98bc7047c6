//! Parses filters. The grammar is `DiscordChatExporter`'s, with two exceptions: white space at the ends is ignored, and
//! `has:` is refused without one of its words.
//!
//! ```text
//! filter    = operand { operator operand }
//! operator  = [space] ("|" | "&") [space] | " " { " " }
//! operand   = ["-" | "~"] ( "(" [space] filter [space] ")" | primitive )
//! primitive = ("from:" | "mentions:" | "reaction:") string | "has:" feature | string
//! string    = quoted | word
//! ```

use crate::condition::{Condition, Feature, Name, Operator};
use crate::syntax_error::{Mistake, SyntaxError};
use crate::whole_words::WholeWords;

/// Levels of brackets.
pub(crate) const MAX_DEPTH: usize = 64;

/// The characters that end a word.
const SPECIAL: [char; 9] = [' ', '(', ')', '"', '\'', '-', '~', '|', '&'];

/// A keyword whose value is a name, and the condition that they make.
type Named = (&'static str, fn(Name) -> Condition);

const NAMED: [Named; 3] =
    [("from:", Condition::From), ("mentions:", Condition::Mentions), ("reaction:", Condition::Reaction)];

pub(crate) fn parse(text: &str) -> Result<Condition, SyntaxError> {
    let mut parser = Parser { text, at: 0, trailing: text.trim_end().len(), depth: 0 };
    parser.skip_white_space();
    let filter = parser.chain()?;
    parser.skip_white_space();
    match parser.peek() {
        None => Ok(filter),
        Some(found) => Err(parser.error(Mistake::NoOperator(found))),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes that are parsed.
    at: usize,
    /// Where the white space at the end begins.
    trailing: usize,
    /// Open brackets.
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, is_wanted: impl Fn(char) -> bool) -> Option<char> {
        let next = self.peek().filter(|&next| is_wanted(next))?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_white_space(&mut self) {
        while self.skip(char::is_whitespace).is_some() {}
    }

    fn skip_keyword(&mut self, keyword: &str) -> bool {
        let found = self.rest().get(..keyword.len()).is_some_and(|start| start.eq_ignore_ascii_case(keyword));
        if found {
            self.at += keyword.len();
        }
        found
    }

    fn error(&self, mistake: Mistake) -> SyntaxError {
        SyntaxError { column: self.text[..self.at].chars().count() + 1, mistake }
    }

    fn chain(&mut self) -> Result<Condition, SyntaxError> {
        let first = self.operand()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.operator() {
            rest.push((operator, self.operand()?));
        }
        Ok(if rest.is_empty() { first } else { Condition::Chain(Box::new(first), rest) })
    }

    fn operator(&mut self) -> Option<Operator> {
        let start = self.at;
        self.skip_white_space();
        if let Some(operator) = self.skip(|next| matches!(next, '|' | '&')) {
            self.skip_white_space();
            return Some(if operator == '|' { Operator::Or } else { Operator::And });
        }
        self.at = start;
        if self.at >= self.trailing || self.skip(|next| next == ' ').is_none() {
            return None;
        }
        while self.skip(|next| next == ' ').is_some() {}
        Some(Operator::And)
    }

    fn operand(&mut self) -> Result<Condition, SyntaxError> {
        let Some(sign) = self.skip(|next| matches!(next, '-' | '~')) else {
            return match self.group()? {
                Some(group) => Ok(group),
                None => self.primitive()?.ok_or_else(|| self.error(Mistake::NoCondition(self.peek()))),
            };
        };
        let negated = match self.group()? {
            Some(group) => group,
            None => self.primitive()?.ok_or_else(|| self.error(Mistake::NothingNegated(sign)))?,
        };
        Ok(Condition::Not(Box::new(negated)))
    }

    fn group(&mut self) -> Result<Option<Condition>, SyntaxError> {
        if self.peek() != Some('(') {
            return Ok(None);
        }
        if self.depth == MAX_DEPTH {
            return Err(self.error(Mistake::TooDeep));
        }
        self.at += 1;
        self.depth += 1;
        self.skip_white_space();
        let content = self.chain()?;
        self.skip_white_space();
        self.depth -= 1;
        match self.skip(|next| next == ')') {
            Some(_) => Ok(Some(content)),
            None => Err(self.error(self.peek().map_or(Mistake::NotClosed('('), Mistake::NoOperator))),
        }
    }

    fn primitive(&mut self) -> Result<Option<Condition>, SyntaxError> {
        for (keyword, condition) in NAMED {
            if self.skip_keyword(keyword) {
                let value = self.string()?.ok_or_else(|| self.error(Mistake::NoValue(keyword)))?;
                return Ok(Some(condition(Name::new(&value))));
            }
        }
        if self.skip_keyword("has:") {
            return self.feature().map(|feature| Some(Condition::Has(feature)));
        }
        Ok(self.string()?.map(|text| Condition::Text(WholeWords::new(&text))))
    }

    fn feature(&mut self) -> Result<Feature, SyntaxError> {
        let found = Feature::ALL.iter().find(|(word, _)| self.skip_keyword(word));
        let is_whole_word =
            self.at >= self.trailing || self.peek().is_none_or(|next| SPECIAL.contains(&next));
        match found {
            Some((_, feature)) if is_whole_word => Ok(*feature),
            _ => Err(self.error(Mistake::UnknownFeature)),
        }
    }

    /// A text in quotation marks, or a word. `None`: something else.
    fn string(&mut self) -> Result<Option<String>, SyntaxError> {
        let Some(quote) = self.skip(|next| matches!(next, '"' | '\'')) else { return self.word() };
        let mut text = String::new();
        loop {
            match self.character(|next| next != quote)? {
                Some(next) => text.push(next),
                None if self.skip(|next| next == quote).is_some() => return Ok(Some(text)),
                None => return Err(self.error(Mistake::NotClosed(quote))),
            }
        }
    }

    fn word(&mut self) -> Result<Option<String>, SyntaxError> {
        let mut word = String::new();
        while self.at < self.trailing
            && let Some(next) = self.character(|next| !SPECIAL.contains(&next))?
        {
            word.push(next);
        }
        Ok((!word.is_empty()).then_some(word))
    }

    /// An escaped character or a wanted one.
    fn character(&mut self, is_wanted: impl Fn(char) -> bool) -> Result<Option<char>, SyntaxError> {
        if self.skip(|next| next == '\\').is_some() {
            return self.skip(|_| true).map(Some).ok_or_else(|| self.error(Mistake::NothingEscaped));
        }
        Ok(self.skip(is_wanted))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(text: &str) -> usize {
        parse(text).unwrap_err().column
    }

    #[test]
    fn white_space_at_the_ends_is_ignored() {
        for text in ["max", " max", "max ", "  max\u{a0} ", "\tmax\n"] {
            assert_eq!(parse(text), parse("max"), "{text:?}");
        }
        assert_eq!(parse("has:pin\u{3000}"), parse("has:pin"));
        assert_eq!(parse("max\\ "), parse("'max '"), "an escaped space belongs to the word");
        assert_eq!(parse("max\\  "), parse("'max '"));
    }

    #[test]
    fn a_mistake_has_the_column_of_the_character_that_cannot_be_read() {
        use Mistake::*;
        for (text, column, mistake) in [
            ("from:(", 6, NoValue("from:")),
            ("FROM:", 6, NoValue("from:")),
            ("한글 reaction: x", 13, NoValue("reaction:")),
            ("", 1, NoCondition(None)),
            ("   ", 4, NoCondition(None)),
            ("max& ", 6, NoCondition(None)),
            ("(max", 5, NotClosed('(')),
            ("(max ", 6, NotClosed('(')),
            ("'it", 4, NotClosed('\'')),
            ("max\\", 5, NothingEscaped),
            ("--max", 2, NothingNegated('-')),
            ("~", 2, NothingNegated('~')),
            ("has:", 5, UnknownFeature),
            ("has:nonsense", 5, UnknownFeature),
            ("has:linked", 9, UnknownFeature),
            ("has:\"link\"", 5, UnknownFeature),
            ("has: link", 5, UnknownFeature),
            ("a-b", 2, NoOperator('-')),
            ("(a-b)", 3, NoOperator('-')),
            ("a)", 2, NoOperator(')')),
        ] {
            assert_eq!(parse(text), Err(SyntaxError { column, mistake }), "{text:?}");
        }
    }

    #[test]
    fn brackets_are_nested_up_to_the_limit() {
        let nested = |depth: usize| format!("{}max{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(parse(&nested(MAX_DEPTH)), parse("max"));
        let error = SyntaxError { column: MAX_DEPTH + 1, mistake: Mistake::TooDeep };
        assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(error));
        assert_eq!(column(&"(".repeat(1_000_000)), MAX_DEPTH + 1);
    }

    #[test]
    fn errors_say_what_to_write() {
        let text = |filter| parse(filter).unwrap_err().to_string();
        assert_eq!(
            text("from:("),
            "column 6: a value must follow `from:` directly: write a word, or a text in quotation marks"
        );
        assert!(text("has:gif").contains("link, embed, file, video, image, sound, pin, invite"));
    }

    /// Texts that resemble filters.
    fn filter_like() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            prop::sample::select(vec![
                "from:",
                "mentions:",
                "reaction:",
                "has:",
                "has:link",
                "pin",
                "(",
                ")",
                "|",
                "&",
                "-",
                "~",
                " ",
                "\\",
                "\"",
                "'",
                "한글",
                "\u{a0}",
            ])
            .prop_map(String::from),
            "[a-z]{1,3}",
            any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_has_a_mistake_inside(text in prop_oneof![any::<String>(), filter_like()]) {
            if let Err(error) = parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
            }
        }

        #[test]
        fn any_text_in_quotation_marks_is_searched_for(text in any::<String>()) {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(parse(&quoted), Ok(Condition::Text(WholeWords::new(&text))));
        }

        #[test]
        fn brackets_around_a_filter_change_nothing(text in filter_like()) {
            if let Ok(condition) = parse(&text) {
                prop_assert_eq!(parse(&format!("({})", text.trim_end())).unwrap_or(condition.clone()), condition);
            }
        }
    }
}
