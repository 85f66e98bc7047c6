//! The members of an object in the JSON of a message, and the elements of an array, of which nothing else is read.

use std::ops::ControlFlow;

use super::scan::{plain_len, scalar_len};

/// Calls `member` with each key, without its quotes, and its value, until it has enough. `json` is valid JSON: nothing is
/// checked again. `None`: it is not an object, or not minified, or has a key with an escape; `member` may have been called
/// until then.
pub(super) fn each_member<'a>(
    json: &'a str,
    mut member: impl FnMut(&'a str, &'a str) -> ControlFlow<()>,
) -> Option<()> {
    let bytes = json.as_bytes();
    if json == "{}" {
        return Some(());
    }
    let (mut at, mut mark) = (0, b'{');
    while *bytes.get(at)? == mark {
        let key = at + 1;
        let value = key + key_len(bytes.get(key..)?)? + 1;
        let end = value + value_len(bytes.get(value..)?)?;
        if member(json.get(key + 1..value - 2)?, json.get(value..end)?).is_break() {
            return Some(());
        }
        (at, mark) = (end, b',');
    }
    (bytes.get(at..)? == b"}").then_some(())
}

/// Calls `element` with each element of an array; the rest as [`each_member`].
pub(super) fn each_element<'a>(json: &'a str, mut element: impl FnMut(&'a str)) -> Option<()> {
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

/// With its quotes.
fn key_len(text: &[u8]) -> Option<usize> {
    let len = 1 + plain_len(text.strip_prefix(b"\"")?);
    text[len..].starts_with(b"\":").then_some(len + 1)
}

/// With its quotes and escapes.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut len = 1;
    loop {
        len += plain_len(text.get(len..)?);
        match text.get(len)? {
            b'"' => return Some(len + 1),
            _ => len += 2, // an escape and what it is for
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

/// An object or an array, up to the bracket that closes it.
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
        fn members_are_those_that_serde_json_finds(members_of in proptest::collection::vec(("[a-z ,:{}é]{0,20}", values()), 0..6)) {
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
        fn nothing_that_is_no_json_is_a_panic(text in r#"[{}\[\]",:\\a1é ]{0,40}"#) {
            let _ = members(&text);
            let _ = each_element(&text, |_| {});
        }
    }

    #[test]
    fn what_is_no_minified_object_with_plain_keys_is_left_to_others() {
        for json in [
            "",
            "[]",
            "5",
            r#""{""#,
            r#"{ "a":1}"#,
            r#"{"a" :1}"#,
            r#"{"a": 1}"#,
            r#"{"a":1 }"#,
            r#"{"\u0061":1}"#,
            r#"{"a":1}x"#,
        ] {
            assert_eq!(members(json), None, "{json}");
        }
        assert_eq!(members("{}"), Some(Vec::new()));
    }
}
