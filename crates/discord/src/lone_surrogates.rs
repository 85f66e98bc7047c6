//! Repair of JSON that serde refuses: `\ud83d` without the other half of its pair, which Discord passes on in texts.

use std::borrow::Cow;

const ESCAPE: usize = "\\ud83d".len();
const REPLACEMENT: &str = "\\ufffd";

/// The body as text in which each lone surrogate and each byte that is not UTF-8 has become U+FFFD.
pub(crate) fn repair(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    let lone = lone_surrogates(text.as_bytes());
    if lone.is_empty() {
        return text;
    }
    let mut repaired = text.into_owned();
    for at in lone {
        repaired.replace_range(at..at + ESCAPE, REPLACEMENT);
    }
    Cow::Owned(repaired)
}

/// The places of the escapes, each as long as its replacement.
fn lone_surrogates(json: &[u8]) -> Vec<usize> {
    let mut lone = Vec::new();
    let mut at = 0;
    while let Some(escape) = json.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += escape;
        match unit(json, at) {
            Some(0xD800..0xDC00) if matches!(unit(json, at + ESCAPE), Some(0xDC00..0xE000)) => {
                at += 2 * ESCAPE;
            }
            Some(0xD800..0xE000) => {
                lone.push(at);
                at += ESCAPE;
            }
            Some(_) => at += ESCAPE,
            None => at += 2,
        }
    }
    lone
}

/// The UTF-16 unit of the `\uXXXX` that begins here.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn lone_halves_are_replaced_and_pairs_stay() {
        for (json, repaired) in [
            (r#""lone \ud83d half""#, r#""lone \ufffd half""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\uD83D\uDE00 \uD83D""#, r#""\uD83D\uDE00 \ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83d"#, r#""\ufffd"#),
            (r#""\ud8"#, r#""\ud8"#),
            (r#""\"#, r#""\"#),
            ("\"오늘 \\ud83d 오늘\"", "\"오늘 \\ufffd 오늘\""),
        ] {
            assert_eq!(repair(json.as_bytes()), repaired, "{json}");
        }
        assert_eq!(repair(b"\"\xff\""), "\"\u{fffd}\"");
    }

    proptest! {
        #[test]
        fn any_text_of_utf_16_units_can_be_read(units in proptest::collection::vec(any::<u16>(), 0..40)) {
            let escaped = units.iter().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"));
            let value: Value = serde_json::from_str(&repair(format!("\"{escaped}\"").as_bytes())).unwrap();
            prop_assert_eq!(value, Value::String(String::from_utf16_lossy(&units)));
        }

        #[test]
        fn valid_json_is_not_changed(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(repair(json.as_bytes()), json.as_str());
        }
    }
}
