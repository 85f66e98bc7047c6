//! Makes a line of foreign text safe to store and display.

/// Maximum length in characters.
const MAX_LENGTH: usize = 300;

/// Removes local directories and control characters and truncates to 300 characters.
pub(super) fn sanitize(line: &str) -> String {
    let line = strip_directories(line.trim());
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(MAX_LENGTH) {
        Some(_) => line.chars().take(MAX_LENGTH - 1).chain(['…']).collect(),
        None => line,
    }
}

/// Replaces every absolute path with its last component.
fn strip_directories(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        if next == '/' && (before.is_whitespace() || matches!(before, '\'' | '"' | '(' | '<' | '=')) {
            let path = &rest[..path_length(rest, before)];
            shown.push_str(path.trim_end_matches('/').rsplit('/').next().unwrap_or_default());
            rest = &rest[path.len()..];
        } else {
            shown.push(next);
            rest = &rest[next.len_utf8()..];
        }
        before = next;
    }
    shown
}

/// A quoted path ends at its quote and may contain spaces; others end at a space or a bracket.
fn path_length(rest: &str, before: char) -> usize {
    let end = match before {
        '\'' | '"' => rest.find(before),
        _ => rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | '>')),
    };
    end.unwrap_or(rest.len())
}

/// Replaces quoted text with `…`: an exception of DCE's may quote anything, even the content of a message.
pub(super) fn strip_quoted(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut quote = None;
    let mut before = ' ';
    for c in line.chars() {
        match quote {
            Some(end) if c == end => {
                quote = None;
                shown.push('…');
                shown.push(c);
            }
            Some(_) => {}
            None => {
                shown.push(c);
                // An apostrophe inside a word opens nothing.
                if matches!(c, '\'' | '"' | '`') && !before.is_alphanumeric() {
                    quote = Some(c);
                }
            }
        }
        before = c;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_removed_and_urls_kept() {
        for (line, expected) in [
            ("No space left on device : '/srv/my work/7/part.json'", "No space left on device : 'part.json'"),
            ("Could not find file '/proc/nope'.", "Could not find file 'nope'."),
            ("cannot open /a/b/c.so: no (/x/y) </z>", "cannot open c.so: no (y) <z>"),
            ("Request to 'channels/1/messages?limit=1'", "Request to 'channels/1/messages?limit=1'"),
            ("https://discord.com/api: a / b", "https://discord.com/api: a  b"),
            ("open '/never/closed", "open 'closed"),
        ] {
            assert_eq!(sanitize(line), expected);
        }
    }

    #[test]
    fn lines_are_truncated_to_300_characters_without_control_characters() {
        let line = "길".repeat(400);
        assert_eq!(sanitize(&line).chars().count(), 300);
        assert_eq!(sanitize(&"길".repeat(300)), "길".repeat(300));
        assert_eq!(sanitize("a\tb\u{1b}[31m\n"), "a b [31m");
    }

    #[test]
    fn quoted_text_is_removed() {
        assert_eq!(
            strip_quoted("The input string 'my secret' doesn't fit \"x\"."),
            "The input string '…' doesn't fit \"…\"."
        );
        assert_eq!(strip_quoted("Never closed 'secret"), "Never closed '");
    }
}
