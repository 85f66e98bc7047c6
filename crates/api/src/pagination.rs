//! Pagination of lists: opaque cursors, and the `Link` header that leads to the next page.
//!
//! Cursors are opaque so that their content may change. A cursor of another list is refused.

use actix_web::http::header::{HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dce_core::export::request::FaultCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::query_string::QueryString;

/// Name of the query parameter.
pub const CURSOR: &str = "cursor";
/// Maximum length of a cursor, in characters.
const MAX_CHARS: usize = 512;

/// Encodes a position as a cursor. `kind` names the list that the cursor belongs to, with a version.
pub fn encode_cursor(kind: &str, position: &impl Serialize) -> String {
    // Positions are structs of texts and numbers, which always serialise.
    let json = serde_json::to_vec(&(kind, position)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(json)
}

/// Reads the position from the query's cursor. Notes a fault if it is not a cursor of this kind.
pub fn read_cursor<T: DeserializeOwned>(query: &mut QueryString, kind: &str) -> Option<T> {
    let text = query.text(CURSOR, MAX_CHARS)?;
    let position = decode(kind, &text);
    if position.is_none() {
        let detail =
            "is not a cursor of this list: send next_cursor of the previous page unchanged, or omit it";
        query.fault(CURSOR, FaultCode::InvalidValue, detail);
    }
    position
}

fn decode<T: DeserializeOwned>(kind: &str, text: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (its_kind, position): (String, T) = serde_json::from_slice(&json).ok()?;
    (its_kind == kind).then_some(position)
}

/// Truncates a page that was read with one row more than `limit`. Returns its last row if another page follows.
pub fn truncate<T>(rows: &mut Vec<T>, limit: u32) -> Option<&T> {
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.last().filter(|_| has_more)
}

/// Adds the header `Link` (RFC 8288) with the relation `next`: the same request with this cursor. Clients follow it
/// without knowing its content.
pub fn link_next_page(response: &mut HttpResponseBuilder, request: &HttpRequest, cursor: &str) {
    let target = next_page(request.path(), request.query_string(), cursor);
    // Both parts come from the request line, whose bytes are all valid in a header.
    if let Ok(value) = HeaderValue::try_from(format!("<{target}>; rel=\"next\"")) {
        response.insert_header((LINK, value));
    }
}

fn next_page(path: &str, query: &str, cursor: &str) -> String {
    let mut target = format!("{path}?");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pair.split('=').next() != Some(CURSOR) {
            // Angle brackets would end the reference. Everything else is passed on as the client wrote it.
            target.push_str(&pair.replace('<', "%3C").replace('>', "%3E"));
            target.push('&');
        }
    }
    target + CURSOR + "=" + cursor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_accepted_by_its_own_list_only() {
        let cursor = encode_cursor("messages.1", &(7_u64, "x"));
        assert_eq!(decode::<(u64, String)>("messages.1", &cursor), Some((7, "x".to_owned())));
        assert_eq!(decode::<(u64, String)>("exports.1", &cursor), None);
        assert_eq!(decode::<(String, u64)>("messages.1", &cursor), None);
        for text in ["", "x", "%", "W10", &cursor[1..]] {
            assert_eq!(decode::<(u64, String)>("messages.1", text), None, "{text}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_rest_of_the_query() {
        assert_eq!(next_page("/channels", "", "x"), "/channels?cursor=x");
        assert_eq!(
            next_page("/channels/1/messages", "limit=2&cursor=old&q=%EA%B8%B8>", "new_-"),
            "/channels/1/messages?limit=2&q=%EA%B8%B8%3E&cursor=new_-"
        );
    }
}
