//! The header `Idempotency-Key`: a client's own name for one creation, under which it may repeat it.

use actix_web::HttpRequest;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::problem::{Code, Problem};

/// The header.
pub const HEADER: &str = "Idempotency-Key";
/// Longest key, in characters.
const MAX_KEY: usize = 255;

/// The client's key, if it sent one: 1 to 255 visible ASCII characters, in quotes or not.
pub fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    // A structured field's string (RFC 8941); most clients send the text as it is.
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_key = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !is_key {
        return Err(Problem::new(
            Code::IdempotencyKeyMalformed,
            "Send one Idempotency-Key of 1 to 255 visible ASCII characters, such as a UUID.",
        ));
    }
    Ok(Some(key.to_owned()))
}

/// What tells one request from another: the same for the same fields and values in whatever order and layout.
pub fn payload(body: &Map<String, Value>) -> [u8; 32] {
    // Objects are ordered by key; of a parsed body nothing fails to serialise.
    let canonical = serde_json::to_vec(body).unwrap_or_default();
    Sha256::digest(canonical).into()
}

/// The key was used for another request.
pub fn reused() -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        "Another request was made with this Idempotency-Key within a day. Send the same body as then, or another key.",
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::*;

    fn key_of(values: &[&str]) -> Result<Option<String>, Code> {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| request.append_header((HEADER, *value)));
        key(&request.to_http_request()).map_err(|problem| problem.code())
    }

    #[test]
    fn a_key_may_stand_in_quotes() {
        assert_eq!(key_of(&[]), Ok(None));
        for text in ["k", "\"k\"", " k "] {
            assert_eq!(key_of(&[text]), Ok(Some("k".to_owned())), "{text}");
        }
        assert!(key_of(&[&"x".repeat(MAX_KEY)]).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "\"\"", "a b", "a\tb", "\u{fc}", &"x".repeat(MAX_KEY + 1)] {
            assert_eq!(key_of(&[text]), Err(Code::IdempotencyKeyMalformed), "{text}");
        }
        assert_eq!(key_of(&["a", "a"]), Err(Code::IdempotencyKeyMalformed));
    }

    #[test]
    fn order_and_layout_make_no_other_request() {
        let digest = |text: &str| payload(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        assert_eq!(digest(r#"{"a":1,"b":"x"}"#), digest(" {\"b\" : \"\\u0078\", \"a\":1}"));
        assert_ne!(
            payload(json!({ "a": 1 }).as_object().unwrap()),
            payload(json!({ "a": 2 }).as_object().unwrap())
        );
    }
}
