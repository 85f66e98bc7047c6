//! The header `Idempotency-Key`: a client's own name for one creation, which makes the request safe to repeat.

use actix_web::HttpRequest;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::problem::{Code, Problem};

pub const HEADER: &str = "Idempotency-Key";
/// Maximum length of a key, in characters.
const MAX_KEY: usize = 255;

/// The client's key, if there is one: 1 to 255 visible ASCII characters, with or without quotes.
pub fn key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let mut values = request.headers().get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    // The draft makes it a structured field's string (RFC 8941); most clients send the text without quotes.
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_valid = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !is_valid {
        return Err(Problem::new(
            Code::IdempotencyKeyMalformed,
            "Send one Idempotency-Key of 1 to 255 visible ASCII characters, such as a UUID.",
        ));
    }
    Ok(Some(key.to_owned()))
}

/// A digest that identifies a request body: equal for the same fields and values in any order and layout.
pub fn digest(body: &Map<String, Value>) -> [u8; 32] {
    // serde_json orders objects by key. A body that was parsed always serialises.
    let canonical = serde_json::to_vec(body).unwrap_or_default();
    Sha256::digest(canonical).into()
}

/// The problem of a key that belongs to another request.
pub fn reused() -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        "This Idempotency-Key was used for another request within the last day. Send the same body as then, or use a new key.",
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
    fn quotes_around_a_key_are_optional() {
        assert_eq!(key_of(&[]), Ok(None));
        for text in ["k", "\"k\"", " k "] {
            assert_eq!(key_of(&[text]), Ok(Some("k".to_owned())), "{text}");
        }
        assert!(key_of(&[&"x".repeat(MAX_KEY)]).is_ok());
    }

    #[test]
    fn an_invalid_or_repeated_key_is_refused() {
        for text in ["", "\"\"", "a b", "a\tb", "\u{fc}", &"x".repeat(MAX_KEY + 1)] {
            assert_eq!(key_of(&[text]), Err(Code::IdempotencyKeyMalformed), "{text}");
        }
        assert_eq!(key_of(&["a", "a"]), Err(Code::IdempotencyKeyMalformed));
    }

    #[test]
    fn order_and_layout_do_not_change_the_digest() {
        let of_text = |text: &str| digest(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        assert_eq!(of_text(r#"{"a":1,"b":"x"}"#), of_text(" {\"b\" : \"\\u0078\", \"a\":1}"));
        assert_ne!(
            digest(json!({ "a": 1 }).as_object().unwrap()),
            digest(json!({ "a": 2 }).as_object().unwrap())
        );
    }
}
