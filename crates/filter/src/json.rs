//! Walks over one level of JSON. A value of an unexpected type is skipped, never refused.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `visit` with the name and the JSON of each member of an object; nothing else has members. Of equal names the last
/// one counts, as in `jsonb`.
pub(crate) fn each_member<'a>(json: &'a str, visit: impl FnMut(&str, &'a str)) {
    // A syntax error ends the walk after the members before it.
    let _ = serde_json::Deserializer::from_str(json).deserialize_any(Members(visit));
}

/// Whether `is_wanted` accepts the JSON of an element of an array; nothing else has elements.
pub(crate) fn any_element<'a>(json: &'a str, is_wanted: impl FnMut(&'a str) -> bool) -> bool {
    let mut found = false;
    // The walk ends with an error, which is of no interest, when it stops at a wanted element.
    let _ =
        serde_json::Deserializer::from_str(json).deserialize_any(Elements { is_wanted, found: &mut found });
    found
}

/// The text of a JSON string.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(text))
    }
}

struct Members<F>(F);

impl<'de, F: FnMut(&str, &'de str)> Visitor<'de> for Members<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((Key(name), value)) = members.next_entry::<Key<'de>, &'de RawValue>()? {
            (self.0)(&name, value.get());
        }
        Ok(())
    }
}

struct Elements<'t, F> {
    is_wanted: F,
    found: &'t mut bool,
}

impl<'de, F: FnMut(&'de str) -> bool> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&'de RawValue>()? {
            if (self.is_wanted)(element.get()) {
                *self.found = true;
                break;
            }
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Vec<(String, String)> {
        let mut members = Vec::new();
        each_member(json, |name, value| members.push((name.to_owned(), value.to_owned())));
        members
    }

    #[test]
    fn members_are_visited_with_their_json() {
        let found = members(r#"{ "a": "x", "\u0062": [1, {"c": 2}] , "a": null }"#);
        let expected = [("a", r#""x""#), ("b", r#"[1, {"c": 2}]"#), ("a", "null")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn nothing_but_an_object_has_members_and_nothing_but_an_array_has_elements() {
        for json in ["", "null", "5", r#""x""#, "[1]", "{", "{\"a\"", "nonsense"] {
            assert!(members(json).is_empty(), "{json}");
        }
        for json in ["", "null", "5", r#""x""#, r#"{"a":1}"#, "[", "nonsense"] {
            assert!(!any_element(json, |_| true), "{json}");
        }
    }

    #[test]
    fn the_walk_over_an_array_stops_at_the_wanted_element() {
        let mut seen = Vec::new();
        let found = any_element(r#"[1, "two", [3], 4]"#, |json| {
            seen.push(json);
            json == "[3]"
        });
        assert!(found);
        assert_eq!(seen, ["1", r#""two""#, "[3]"]);
    }

    #[test]
    fn strings_are_borrowed_unless_they_have_escapes() {
        assert!(matches!(string(r#""길드""#), Some(Cow::Borrowed("길드"))));
        assert_eq!(string(r#""a\n\u00fc""#).as_deref(), Some("a\nü"));
        for json in ["null", "5", "\"", r#""\ud800""#, ""] {
            assert_eq!(string(json), None, "{json}");
        }
    }
}
