//! One line of somebody else's words, fit to be stored and shown.

/// Longest detail, in characters.
const LONGEST: usize = 300;

/// The line without local directories, control characters and what is beyond 300 characters.
pub(super) fn shown(line: &str) -> String {
    let line = without_directories(line.trim());
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(LONGEST) {
        Some(_) => line.chars().take(LONGEST - 1).chain(['…']).collect(),
        None => line,
    }
}

/// The line with every absolute path replaced by its last component.
fn without_directories(line: &str) -> String {
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

/// A quoted path ends at its quote and may hold blanks; others end at a blank or a bracket.
fn path_length(rest: &str, before: char) -> usize {
    let end = match before {
        '\'' | '"' => rest.find(before),
        _ => rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | '>')),
    };
    end.unwrap_or(rest.len())
}

/// The line with everything between quotes left out: an exception of DCE's own may quote anything,
/// also a message.
pub(super) fn without_quotes(line: &str) -> String {
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
    fn directories_are_left_out_and_addresses_kept() {
        for (line, expected) in [
            ("No space left on device : '/srv/my work/7/part.json'", "No space left on device : 'part.json'"),
            ("Could not find file '/proc/nope'.", "Could not find file 'nope'."),
            ("cannot open /a/b/c.so: no (/x/y) </z>", "cannot open c.so: no (y) <z>"),
            ("Request to 'channels/1/messages?limit=1'", "Request to 'channels/1/messages?limit=1'"),
            ("https://discord.com/api: a / b", "https://discord.com/api: a  b"),
            ("open '/never/closed", "open 'closed"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn long_lines_end_after_300_characters() {
        let line = "길".repeat(400);
        assert_eq!(shown(&line).chars().count(), 300);
        assert_eq!(shown(&"길".repeat(300)), "길".repeat(300));
        assert_eq!(shown("a\tb\u{1b}[31m\n"), "a b [31m");
    }

    #[test]
    fn what_is_quoted_is_left_out() {
        assert_eq!(
            without_quotes("The input string 'my secret' doesn't fit \"x\"."),
            "The input string '…' doesn't fit \"…\"."
        );
        assert_eq!(without_quotes("Never closed 'secret"), "Never closed '");
    }
}
