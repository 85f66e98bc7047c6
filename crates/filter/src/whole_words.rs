//! Searches a text for whole words, without regard to case.

use crate::unicode::{fold, is_boundary};

/// Words to find: surrounded by boundaries of words, white space or the ends of the text, and otherwise as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WholeWords {
    /// Folded.
    words: Vec<char>,
    /// For each length of a beginning of the words, the length of the longest shorter beginning that it ends with. It makes
    /// the search linear (Knuth, Morris, Pratt).
    fallbacks: Vec<usize>,
}

impl WholeWords {
    pub(crate) fn new(words: &str) -> Self {
        let words: Vec<char> = words.chars().map(fold).collect();
        let mut fallbacks = vec![0; words.len() + 1];
        for end in 1..words.len() {
            fallbacks[end + 1] = extended(&words, &fallbacks, fallbacks[end], words[end]);
        }
        Self { words, fallbacks }
    }

    pub(crate) fn are_in(&self, text: &str) -> bool {
        // The end of what matches, and the position so many characters before it.
        let (mut end, mut start) = (Cursor::new(text), Cursor::new(text));
        let (mut matched, mut read) = (0, 0);
        loop {
            if matched == self.words.len() {
                if start.may_begin() && end.may_end() {
                    // DiscordChatExporter does not search blank texts, where only nothing or blanks could be found.
                    return !text.trim().is_empty();
                }
                matched = self.fallbacks[matched];
            }
            let Some(next) = end.advance() else { return false };
            matched = extended(&self.words, &self.fallbacks, matched, fold(next));
            read += 1;
            if read > self.words.len() {
                start.advance();
            }
        }
    }
}

/// The number of words' characters that match after one more character of the text.
fn extended(words: &[char], fallbacks: &[usize], mut matched: usize, next: char) -> usize {
    loop {
        match words.get(matched) {
            Some(&expected) if expected == next => return matched + 1,
            _ if matched == 0 => return 0,
            _ => matched = fallbacks[matched],
        }
    }
}

/// A position in a text, with the characters around it.
struct Cursor<'a> {
    rest: std::str::Chars<'a>,
    before: Option<char>,
    after: Option<char>,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        let mut rest = text.chars();
        let after = rest.next();
        Self { rest, before: None, after }
    }

    fn advance(&mut self) -> Option<char> {
        let passed = self.after?;
        self.before = Some(passed);
        self.after = self.rest.next();
        Some(passed)
    }

    fn may_begin(&self) -> bool {
        self.before.is_none_or(char::is_whitespace) || is_boundary(self.before, self.after)
    }

    fn may_end(&self) -> bool {
        self.after.is_none_or(char::is_whitespace) || is_boundary(self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same search, one position after the other.
    fn naive(words: &str, text: &str) -> bool {
        let (words, text): (Vec<_>, Vec<_>) = (words.chars().collect(), text.chars().collect());
        let at = |index: usize| text.get(index).copied();
        let ends = |before: Option<char>, after: Option<char>, outside: Option<char>| {
            outside.is_none_or(char::is_whitespace) || is_boundary(before, after)
        };
        text.iter().any(|c| !c.is_whitespace())
            && (0..=text.len()).any(|start| {
                let end = start + words.len();
                let before = start.checked_sub(1).and_then(at);
                let last = end.checked_sub(1).and_then(at);
                text.get(start..end)
                    .is_some_and(|found| found.iter().zip(&words).all(|(a, b)| fold(*a) == fold(*b)))
                    && ends(before, at(start), before)
                    && ends(last, at(end), at(end))
            })
    }

    #[test]
    fn words_are_found_between_boundaries_white_space_and_ends() {
        for (words, text, found) in [
            ("max", "our max effort", true),
            ("max", "our maximum effort", false),
            ("max", "MAX!", true),
            ("max", "max_power", false),
            ("(max)", "our (max) effort", true),
            ("(max)", "our(max)effort", true),
            ("C++", "C++", true),
            ("C+", "C++", false),
            ("👍", "nice 👍", true),
            ("aba", "ababa aba", true),
            ("", "!!!", false),
            ("", "a", true),
            ("", "!! !!", false),
            (" ", "  ", false),
            ("İ", "i", false),
        ] {
            assert_eq!(WholeWords::new(words).are_in(text), found, "{words:?} in {text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_search_finds_what_a_naive_one_finds(words in "[aAb 한!\u{200d}]{0,5}", text in "[aAb 한!\u{200d}\n]{0,24}") {
            prop_assert_eq!(WholeWords::new(&words).are_in(&text), naive(&words, &text));
        }

        #[test]
        fn words_are_found_between_blanks(words in any::<String>(), before in any::<String>(), after in any::<String>()) {
            let text = format!("{before} {words} {after}");
            prop_assert!(text.trim().is_empty() || WholeWords::new(&words).are_in(&text));
        }
    }
}
