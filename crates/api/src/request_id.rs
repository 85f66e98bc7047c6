//! Request ids: the client's own or a new one. The id is echoed, logged, and stored with the export that the request
//! created.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use uuid::Uuid;

/// The header that carries the id, in the request and in the response.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of a client's own id.
const MAX_LENGTH: usize = 128;

/// The id of a request: 1 to 128 of `A-Z a-z 0-9 . _ : -`, so that it is safe in headers, logs and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The client's id if it is valid. Anything else counts as absent and is never echoed.
    fn from_client(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let is_valid = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
        is_valid.then(|| Self(text.to_owned()))
    }

    /// A new id; new ids sort by time.
    fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Middleware: gives the request its id (as an extension) and the response the header. It is the outermost one, so that
/// all others know the id.
pub async fn assign<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let id =
        request.headers().get(HEADER).and_then(RequestId::from_client).unwrap_or_else(RequestId::generate);
    let header = HeaderValue::from_str(id.as_str());
    request.extensions_mut().insert(id);
    let mut response = next.call(request).await?;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_accepted_only_if_it_is_harmless() {
        let longest = "x".repeat(MAX_LENGTH);
        for text in ["a", "01J9-abc_DEF:1.2", &longest] {
            let id = RequestId::from_client(&HeaderValue::from_str(text).unwrap());
            assert_eq!(id.as_ref().map(RequestId::as_str), Some(text));
        }
        let too_long = "x".repeat(MAX_LENGTH + 1);
        for bytes in
            [&b""[..], b"a b", b"a\tb", b"<script>", b"\"", b"\xff", "é".as_bytes(), too_long.as_bytes()]
        {
            assert_eq!(RequestId::from_client(&HeaderValue::from_bytes(bytes).unwrap()), None, "{bytes:?}");
        }
        assert_ne!(RequestId::generate(), RequestId::generate());
    }
}
