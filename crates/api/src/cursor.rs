//! Where a page ends, as clients hand it back: opaque, so that it may change, and refused where it is not ours.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dce_core::export::request::FaultCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::query::Query;

/// The name of the parameter.
pub const CURSOR: &str = "cursor";
/// Longest cursor that is read, in characters.
const MAX_CHARS: usize = 512;

/// A cursor for this position. `kind` names the list that it belongs to, with a version.
pub fn encode(kind: &str, position: &impl Serialize) -> String {
    // Positions are structs of texts and numbers, which always serialise.
    let json = serde_json::to_vec(&(kind, position)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(json)
}

/// The position that the query's cursor names; a mistake if it is no cursor of this kind.
pub fn read<T: DeserializeOwned>(query: &mut Query, kind: &str) -> Option<T> {
    let text = query.text(CURSOR, MAX_CHARS)?;
    let position = decode(kind, &text);
    if position.is_none() {
        let detail =
            "is no cursor of this list: take next_cursor of the page before as it is, or leave it out";
        query.fault(CURSOR, FaultCode::InvalidValue, detail);
    }
    position
}

fn decode<T: DeserializeOwned>(kind: &str, text: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (its_kind, position): (String, T) = serde_json::from_slice(&json).ok()?;
    (its_kind == kind).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_where_it_belongs_and_nowhere_else() {
        let cursor = encode("messages.1", &(7_u64, "x"));
        assert_eq!(decode::<(u64, String)>("messages.1", &cursor), Some((7, "x".to_owned())));
        assert_eq!(decode::<(u64, String)>("exports.1", &cursor), None);
        assert_eq!(decode::<(String, u64)>("messages.1", &cursor), None);
        for text in ["", "x", "%", "W10", &cursor[1..]] {
            assert_eq!(decode::<(u64, String)>("messages.1", text), None, "{text}");
        }
    }
}
