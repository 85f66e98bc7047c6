//! Reads request bodies: JSON objects of bounded size.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use serde_json::{Map, Value};

use crate::problem::{Code, Problem};

/// Bytes of the largest body that is read; 500 channel ids take 12 KB.
const MAX_BODY: usize = 64 * 1024;

/// The body as a JSON object, or what is wrong with its type, its size or its syntax.
pub async fn json_object(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Map<String, Value>, Problem> {
    check_headers(request)?;
    let bytes = match payload.to_bytes_limited(MAX_BODY).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(Problem::new(Code::BadRequest, "The body ended before it was complete.")),
        Err(_) => return Err(Problem::new(Code::BodyTooLarge, "The body may have at most 65536 bytes.")),
    };
    if bytes.is_empty() {
        return Err(Problem::new(Code::MalformedJson, "The body is empty: send at least {}."));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new(
            Code::NotAnObject,
            "Send an object such as {\"channel_id\": \"102938475647382910\"}.",
        )),
        // serde_json names what it expected, line and column, and quotes nothing.
        Err(error) => Err(Problem::new(Code::MalformedJson, format!("The body cannot be parsed: {error}."))),
    }
}

fn check_headers(request: &HttpRequest) -> Result<(), Problem> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "Send the header Content-Type: application/json.",
        ));
    }
    if !matches!(text(CONTENT_ENCODING), "" | "identity") {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body without Content-Encoding."));
    }
    Ok(())
}
