//! Walks over a text of Markdown in the order of `DiscordChatExporter`: of all patterns the one that begins first is read,
//! then what follows it. Only patterns that hide, cut or contain links are known here.

use std::ops::{ControlFlow, Range};

use super::patterns::{Content, Found, Pattern, Text, blocks, code, formatting, links};

/// Maximum length of a text that is read as Markdown: Discord's limit of 4,000 characters, of four bytes each. In a longer
/// text, which can only come from an import, code hides no links: so the time for a text is bounded.
const MAX_BYTES: usize = 16_000;

/// Levels of nested patterns; deeper ones are plain text.
const MAX_DEPTH: usize = 32;

/// The patterns in order of precedence, for those that begin together.
const PATTERNS: [Pattern; 21] = [
    code::shrug,
    code::escaped,
    formatting::italic_bold,
    formatting::italic_underline,
    formatting::bold,
    formatting::italic,
    formatting::underline,
    formatting::italic_alternative,
    formatting::strikethrough,
    formatting::spoiler,
    blocks::quote_to_the_end,
    blocks::quoted_lines,
    blocks::quoted_line,
    blocks::heading,
    blocks::list,
    code::code_block,
    code::inline_code,
    links::named,
    links::bare,
    links::in_angle_brackets,
    code::custom_emoji,
];

/// Calls `visit` with the URL of each link, until it breaks.
pub(super) fn each_link(text: &str, visit: &mut impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    let patterns: &[Pattern] = if text.len() > MAX_BYTES { &[links::bare] } else { &PATTERNS };
    read(text, 0..text.len(), patterns, 0, visit)
}

fn read(
    text: &str,
    range: Range<usize>,
    patterns: &[Pattern],
    depth: usize,
    visit: &mut impl FnMut(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if depth == MAX_DEPTH {
        return ControlFlow::Continue(());
    }
    let segment = Text { text, end: range.end };
    // The patterns that still occur, each with its next occurrence.
    let mut next: Vec<(Pattern, Found)> =
        patterns.iter().filter_map(|&find| Some((find, find(segment, range.start)?))).collect();
    // Of several that begin together, the first is returned.
    while let Some(first) = next.iter().map(|(_, found)| found).min_by_key(|found| found.start) {
        let end = first.end;
        match first.content.clone() {
            Content::Hidden => {}
            Content::Text(range) => read(text, range, &PATTERNS, depth + 1, visit)?,
            Content::Only(pattern, range) => read(text, range, &[pattern], depth + 1, visit)?,
            Content::Texts(ranges) => {
                for range in ranges {
                    read(text, range, &PATTERNS, depth + 1, visit)?;
                }
            }
            Content::Link { url, name } => {
                visit(&text[url])?;
                read(text, name, &PATTERNS, depth + 1, visit)?;
            }
        }
        next.retain_mut(|(find, found)| {
            if found.start >= end {
                return true;
            }
            find(segment, end).map(|later| *found = later).is_some()
        });
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links(text: &str) -> Vec<String> {
        let mut links = Vec::new();
        let end = each_link(text, &mut |url| {
            links.push(url.to_owned());
            ControlFlow::Continue(())
        });
        assert!(end.is_continue());
        links
    }

    #[test]
    fn links_are_found_bare_named_and_in_angle_brackets() {
        for (text, expected) in [
            ("see https://a.b/c, then", vec!["https://a.b/c"]),
            ("(http://a.b)", vec!["http://a.b)"]),
            ("<https://a.b>", vec!["https://a.b"]),
            ("<https://a.b", vec!["https://a.b"]),
            ("[name](https://a.b)", vec!["https://a.b"]),
            ("[name](a.b) [x]()", vec!["a.b"]),
            ("[https://x.y](https://a.b)", vec!["https://a.b", "https://x.y"]),
            ("[no\nlink](a.b)", vec![]),
            ("a.b https:// http://. http", vec![]),
            ("https://a.b https://c.d", vec!["https://a.b", "https://c.d"]),
        ] {
            assert_eq!(links(text), expected, "{text:?}");
        }
    }

    #[test]
    fn formatting_ends_a_link() {
        for text in [
            "**https://a.b**",
            "*https://a.b*",
            "***https://a.b***",
            "__https://a.b__",
            "___https://a.b___",
            "_https://a.b_ x",
            "~~https://a.b~~",
            "||https://a.b||",
            "**||https://a.b||**",
            "> https://a.b",
            ">>> x\nhttps://a.b",
            "# https://a.b\nx",
            "- https://a.b\n- x",
        ] {
            assert_eq!(links(text), ["https://a.b"], "{text:?}");
        }
    }

    #[test]
    fn code_hides_links_unless_its_quotation_marks_are_escaped_or_apart() {
        for text in [
            "`https://a.b`",
            "``https://a.b``",
            "```https://a.b```",
            "```rust\nhttps://a.b\n```",
            "**`https://a.b`**",
            "<:https://a.b:1>",
        ] {
            assert_eq!(links(text), Vec::<String>::new(), "{text:?}");
        }
        for text in [
            "\\`https://a.b `",
            "`https://a.b",
            "> ```\n> https://a.b\n> ```",
            "- `x\n- https://a.b `",
            "` ` https://a.b",
        ] {
            assert_eq!(links(text), ["https://a.b"], "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_and_long_texts_end_soon() {
        let stars = format!("{}https://a.b{}", "*".repeat(4000), "*".repeat(4000));
        assert!(links(&stars).len() <= 1);
        let quotes = "> ".repeat(5000) + "https://a.b";
        assert!(links(&quotes).len() <= 1);
        for part in ["` *x`", "`[`", "`<:`", "<http://a", "*", "_a ", "> \n", "- \n ", "```", "\n \n"] {
            let text = part.repeat(MAX_BYTES / part.len());
            links(&text);
        }
        let long = format!("{}https://a.b", "`".repeat(MAX_BYTES));
        assert_eq!(links(&long), ["https://a.b"]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in any::<String>()) {
            links(&text);
        }

        #[test]
        fn any_markdown_can_be_read(
            tokens in prop::collection::vec(
                prop::sample::select(vec!["*", "**", "_", "__", "~~", "||", "`", "```", "> ", ">>> ", "# ", "- ", "\n", " ", "\\",
                    "[", "](", ")", "<", ">", "<:", ":1>", "http://", "https://a.b", "한", "👍", "¯\\_(ツ)_/¯", "a"]),
                0..40,
            )
        ) {
            for url in links(&tokens.concat()) {
                prop_assert!(!url.is_empty());
            }
        }
    }
}
