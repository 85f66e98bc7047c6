//! Letter case and words by the rules of .NET, in which `DiscordChatExporter` is written.
//!
//! .NET looks at UTF-16 code units: a character outside the Basic Multilingual Plane has no case and belongs to no word.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// The last character of the Basic Multilingual Plane.
const LAST_OF_BMP: char = '\u{ffff}';

/// What characters that regular expressions regard as equal without regard to case have in common
/// (`RegexOptions.IgnoreCase | RegexOptions.CultureInvariant`): the lower case, if it is one character.
pub(crate) fn fold(c: char) -> char {
    match c {
        'A'..='Z' => c.to_ascii_lowercase(),
        // The invariant culture leaves the Turkish I alone.
        '\0'..='\x7f' | '\u{130}' => c,
        _ if c > LAST_OF_BMP => c,
        _ => single(c.to_lowercase()).unwrap_or(c),
    }
}

/// What characters that `StringComparison.OrdinalIgnoreCase` regards as equal have in common: the upper case that is one
/// character.
pub(crate) fn ordinal_upper(c: char) -> char {
    match c {
        'a'..='z' => c.to_ascii_uppercase(),
        // The dotless i and the long s would become ASCII letters.
        '\0'..='\x7f' | '\u{131}' | '\u{17f}' => c,
        // Greek letters with an iota below: their usual upper case is two letters.
        '\u{1f80}'..='\u{1faf}' => char::from_u32(u32::from(c) | 8).unwrap_or(c),
        '\u{1fb3}' => '\u{1fbc}',
        '\u{1fc3}' => '\u{1fcc}',
        '\u{1ff3}' => '\u{1ffc}',
        _ => single(c.to_uppercase()).unwrap_or(c),
    }
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// Whether `\w` matches the character.
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    c <= LAST_OF_BMP
        && matches!(
            c.general_category(),
            GeneralCategory::UppercaseLetter
                | GeneralCategory::LowercaseLetter
                | GeneralCategory::TitlecaseLetter
                | GeneralCategory::ModifierLetter
                | GeneralCategory::OtherLetter
                | GeneralCategory::NonspacingMark
                | GeneralCategory::DecimalNumber
                | GeneralCategory::ConnectorPunctuation
        )
}

/// Whether `\b` matches between two characters; `None` is an end of the text.
pub(crate) fn is_boundary(before: Option<char>, after: Option<char>) -> bool {
    // For boundaries, joiners belong to words, too.
    let in_word = |c: Option<char>| c.is_some_and(|c| is_word(c) || matches!(c, '\u{200c}' | '\u{200d}'));
    in_word(before) != in_word(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_folded_as_in_regular_expressions() {
        for (one, other) in
            [('K', 'k'), ('\u{212a}', 'k'), ('Å', '\u{212b}'), ('ẞ', 'ß'), ('Ω', '\u{2126}'), ('Ж', 'ж')]
        {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        for (one, other) in
            [('İ', 'i'), ('ı', 'I'), ('ς', 'σ'), ('ſ', 's'), ('µ', 'μ'), ('𐐀', '𐐨'), ('Ｍ', 'M')]
        {
            assert_ne!(fold(one), fold(other), "{one} {other}");
        }
    }

    #[test]
    fn names_are_compared_as_ordinals_without_regard_to_case() {
        for (one, other) in
            [('k', 'K'), ('ü', 'Ü'), ('ς', 'Σ'), ('µ', 'Μ'), ('ᾳ', 'ᾼ'), ('ᾀ', 'ᾈ'), ('ÿ', 'Ÿ')]
        {
            assert_eq!(ordinal_upper(one), ordinal_upper(other), "{one} {other}");
        }
        for (one, other) in [('ı', 'I'), ('ſ', 'S'), ('ß', 'S'), ('\u{212a}', 'k'), ('İ', 'i')] {
            assert_ne!(ordinal_upper(one), ordinal_upper(other), "{one} {other}");
        }
    }

    #[test]
    fn words_consist_of_letters_marks_digits_and_connectors() {
        for c in ['a', '7', '_', 'é', '한', '\u{301}', '٣', '‿', 'ー'] {
            assert!(is_word(c), "{c}");
        }
        for c in ['-', ' ', '½', 'Ⅷ', '👍', '𐐀', '\u{903}', '\u{200d}', '！'] {
            assert!(!is_word(c), "{c}");
        }
        assert!(is_boundary(Some('\u{200d}'), Some(' ')) && !is_boundary(Some('a'), Some('\u{200c}')));
        assert!(is_boundary(None, Some('a')) && !is_boundary(None, Some('!')) && !is_boundary(None, None));
    }
}
