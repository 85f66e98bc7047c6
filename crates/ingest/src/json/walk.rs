//! Walks over the members of an object and the elements of an array in minified, valid JSON: the framer's copy of a message.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::scan::{plain_len, scalar_len};

/// Calls `member` with each key and its value until it breaks. The values are not checked again. `None`: `json` is no
/// object or is not minified; `member` may have been called by then.
pub(crate) fn each_member<'a>(
    json: &'a str,
    mut member: impl FnMut(&str, &'a str) -> ControlFlow<()>,
) -> Option<()> {
    let bytes = json.as_bytes();
    if json == "{}" {
        return Some(());
    }
    let (mut at, mut mark) = (0, b'{');
    while *bytes.get(at)? == mark {
        let key = at + 1;
        let colon = key + bytes.get(key..).filter(|text| text.starts_with(b"\"")).and_then(string_len)?;
        if *bytes.get(colon)? != b':' {
            return None;
        }
        let end = colon + 1 + value_len(bytes.get(colon + 1..)?)?;
        if member(&string(json.get(key..colon)?)?, json.get(colon + 1..end)?).is_break() {
            return Some(());
        }
        (at, mark) = (end, b',');
    }
    (bytes.get(at..)? == b"}").then_some(())
}

/// The text of a JSON string, borrowed unless it has escapes. `None`: not a string.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// Calls `element` with each element of an array; otherwise like [`each_member`].
pub(crate) fn each_element<'a>(json: &'a str, mut element: impl FnMut(&'a str)) -> Option<()> {
    let bytes = json.as_bytes();
    if json == "[]" {
        return Some(());
    }
    let (mut at, mut mark) = (0, b'[');
    while *bytes.get(at)? == mark {
        let end = at + 1 + value_len(bytes.get(at + 1..)?)?;
        element(json.get(at + 1..end)?);
        (at, mark) = (end, b',');
    }
    (bytes.get(at..)? == b"]").then_some(())
}

/// Length of the string at the start of `text`, with its quotes.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut len = 1;
    loop {
        len += plain_len(text.get(len..)?);
        match text.get(len)? {
            b'"' => return Some(len + 1),
            _ => len += 2, // `\` and the byte that it escapes
        }
    }
}

fn value_len(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => string_len(text),
        b'{' | b'[' => nested_len(text),
        _ => Some(scalar_len(text)).filter(|len| *len > 0),
    }
}

/// Length of the object or array at the start of `text`.
fn nested_len(text: &[u8]) -> Option<usize> {
    let (mut len, mut depth) = (0, 0_u32);
    loop {
        match text.get(len)? {
            b'"' => {
                len += string_len(&text[len..])?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        len += 1;
        if depth == 0 {
            return Some(len);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use serde_json::{Map, Value};

    use super::*;

    fn members(json: &str) -> Option<Vec<(String, String)>> {
        let mut members = Vec::new();
        each_member(json, |key, value| {
            members.push((key.to_owned(), value.to_owned()));
            ControlFlow::Continue(())
        })?;
        Some(members)
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            r#"[{}\[\]",:\\]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-z}\\]]{0,9}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_are_those_that_serde_json_finds(members_of in proptest::collection::vec((r#"[a-z ,:{}é"\\\n]{0,20}"#, values()), 0..6)) {
            let object: Map<String, Value> = members_of.into_iter().collect();
            let json = Value::Object(object).to_string();
            let expected: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(&json).unwrap();
            let expected: Vec<_> = expected.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect();
            let mut found = members(&json).unwrap();
            found.sort();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn elements_are_those_that_serde_json_finds(elements in proptest::collection::vec(values(), 0..6)) {
            let json = Value::Array(elements).to_string();
            let expected: Vec<&RawValue> = serde_json::from_str(&json).unwrap();
            let mut found = Vec::new();
            each_element(&json, |element| found.push(element)).unwrap();
            prop_assert_eq!(found, expected.into_iter().map(RawValue::get).collect::<Vec<_>>());
        }

        #[test]
        fn text_that_is_not_json_does_not_panic(text in r#"[{}\[\]",:\\a1é ]{0,40}"#) {
            let _ = members(&text);
            let _ = each_element(&text, |_| {});
        }
    }

    #[test]
    fn json_that_is_no_minified_object_has_no_members() {
        for json in [
            "",
            "[]",
            "5",
            r#""{""#,
            r#"{ "a":1}"#,
            r#"{"a" :1}"#,
            r#"{"a": 1}"#,
            r#"{"a":1 }"#,
            r#"{"a":1}x"#,
        ] {
            assert_eq!(members(json), None, "{json}");
        }
        assert_eq!(members("{}"), Some(Vec::new()));
    }

    #[test]
    fn keys_are_decoded() {
        let found = members(r#"{"\u0061\"\\":1,"é":2}"#);
        assert_eq!(found, Some(vec![("a\"\\".to_owned(), "1".to_owned()), ("é".to_owned(), "2".to_owned())]));
    }
}
