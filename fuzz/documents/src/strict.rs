//! Rewrites a document so that a strict JSON parser can read it: an independent implementation of the framer's repairs,
//! string by string.

/// A document for `serde_json`.
#[derive(Debug)]
pub struct Strict {
    /// The document with every string decoded, repaired and rewritten. The text from the first unreadable string on is
    /// unchanged, so it is not JSON here either.
    pub text: String,
    /// Characters replaced by U+FFFD: NUL, half surrogate pairs, invalid UTF-8.
    pub replaced: usize,
}

impl From<&[u8]> for Strict {
    /// Removes a leading byte order mark.
    fn from(document: &[u8]) -> Self {
        let document = document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document);
        let mut replaced = document.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
        let lossy = String::from_utf8_lossy(document);
        let mut text = String::with_capacity(lossy.len());
        let mut rest = &*lossy;
        while let Some((before, inside)) = rest.split_once('"') {
            let Some((units, behind)) = string(inside) else { break };
            let mut string = String::with_capacity(units.len());
            for unit in char::decode_utf16(units) {
                let valid = unit.ok().filter(|c| *c != '\0');
                replaced += usize::from(valid.is_none());
                string.push(valid.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            text.push_str(before);
            text.push_str(&serde_json::Value::String(string).to_string());
            rest = behind;
        }
        text.push_str(rest);
        Self { text, replaced }
    }
}

impl Strict {
    /// The maximum number of brackets that are open at once.
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0_usize, 0);
        for c in outside_strings(&self.text) {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    /// Whether the document has a number that Postgres's `numeric` may refuse: over 1000 characters, or an exponent of more
    /// than four digits.
    pub fn has_extreme_number(&self) -> bool {
        let outside: String = outside_strings(&self.text).collect();
        outside.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.')).any(|token| {
            let exponent = token.split_once(['e', 'E']).map_or("", |(_, exponent)| exponent);
            token.len() > 1000 || exponent.trim_start_matches(['+', '-']).len() > 4
        })
    }
}

/// Decodes a string into UTF-16 units. Also returns the text behind its closing quote. `None`: not a string in JSON; raw
/// control characters are allowed.
fn string(inside: &str) -> Option<(Vec<u16>, &str)> {
    let mut units = Vec::new();
    let mut chars = inside.chars();
    loop {
        let c = match chars.next()? {
            '"' => return Some((units, chars.as_str())),
            '\\' => match chars.next()? {
                'u' => {
                    let digits = chars.as_str().get(..4)?;
                    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                        return None;
                    }
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    chars = chars.as_str()[4..].chars();
                    continue;
                }
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                c @ ('"' | '\\' | '/') => c,
                _ => return None,
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
}

/// The characters outside strings, and each string's closing quote.
fn outside_strings(text: &str) -> impl Iterator<Item = char> {
    let (mut inside, mut escaped) = (false, false);
    text.chars().filter(move |c| {
        let (was_inside, was_escaped) = (inside, escaped);
        escaped = was_inside && !was_escaped && *c == '\\';
        if *c == '"' && !was_escaped {
            inside = !was_inside;
        }
        !inside
    })
}
