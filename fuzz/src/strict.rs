//! A document rewritten so that a strict JSON parser can read it: what the framer repairs in passing,
//! done once more, string by string, without any of its code.

/// A document for `serde_json`.
#[derive(Debug)]
pub struct Strict {
    /// The document with every string decoded, repaired and written anew. Behind a string that cannot be
    /// read nothing is changed, so that it is no JSON either.
    pub text: String,
    /// Characters replaced by U+FFFD: NUL, half surrogate pairs, invalid UTF-8.
    pub replaced: usize,
}

impl Strict {
    /// Of these bytes, a byte order mark at their beginning left out.
    pub fn of(document: &[u8]) -> Self {
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

    /// Brackets that are open at once, at most.
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

    /// Whether there is a number that `numeric` might not hold: over 1000 characters or an exponent of more
    /// than four digits.
    pub fn has_extreme_number(&self) -> bool {
        let outside: String = outside_strings(&self.text).collect();
        outside.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.')).any(|token| {
            let exponent = token.split_once(['e', 'E']).map_or("", |(_, exponent)| exponent);
            token.len() > 1000 || exponent.trim_start_matches(['+', '-']).len() > 4
        })
    }
}

/// The UTF-16 units of a string and what is behind its closing quote; `None` if JSON knows no such string,
/// raw control characters excepted.
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

/// The characters that stand in no string, and each string's closing quote.
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
