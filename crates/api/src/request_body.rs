//! Reads request bodies: JSON objects of limited size.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use dce_core::export::request::{Fault, FaultCode};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::problem::{Code, Problem};
use crate::state::AppState;

/// Maximum size of a body in bytes; 500 channel ids take 12 KB.
const MAX_BODY: usize = 64 * 1024;
/// Time allowed to receive a body where there are no settings.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of unknown fields that one answer lists.
const MAX_FAULTS: usize = 100;

/// Reads the body as a JSON object. Refuses a wrong type, size or syntax.
pub async fn json_object(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Map<String, Value>, Problem> {
    check_headers(request)?;
    let bytes = read(request, payload).await?;
    if bytes.is_empty() {
        return Err(Problem::new(Code::MalformedJson, "The body is empty: send at least {}."));
    }
    parse(&bytes, "Send an object such as {\"channel_id\": \"102938475647382910\"}.")
}

/// Reads the body of a request that has no fields: nothing, of whatever type, or an empty object.
pub async fn empty(request: &HttpRequest, payload: web::Payload) -> Result<(), Problem> {
    let bytes = read(request, payload).await?;
    if bytes.is_empty() {
        return Ok(());
    }
    check_headers(request)?;
    let object = parse(&bytes, "Send no body, or {}.")?;
    let unknown = |name: &String| {
        Fault::in_field(name, FaultCode::UnknownField, "is not a field of this request, which has none")
    };
    let faults: Vec<Fault> = object.keys().take(MAX_FAULTS).map(unknown).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

async fn read(request: &HttpRequest, payload: web::Payload) -> Result<web::Bytes, Problem> {
    let limit =
        request.app_data::<web::Data<AppState>>().map_or(DEFAULT_TIMEOUT, |state| state.request_timeout);
    let Ok(read) = timeout(limit, payload.to_bytes_limited(MAX_BODY)).await else {
        return Err(Problem::new(
            Code::RequestTimeout,
            "The body did not arrive in time: send it without pauses.",
        ));
    };
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest, "The body ended before it was complete.")),
        Err(_) => Err(Problem::new(Code::BodyTooLarge, "The body is larger than 65536 bytes.")),
    }
}

fn parse(bytes: &[u8], remedy: &'static str) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::new(Code::NotAnObject, remedy)),
        // serde_json names what it expected, line and column, and quotes nothing.
        Err(error) => Err(Problem::new(Code::MalformedJson, format!("The body is not valid JSON: {error}."))),
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
