//! The OpenAPI document, gathered from the handlers.

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "dce-service",
        description = "Exports Discord channels to Postgres and reads the archive back."
    ),
    paths()
)]
struct Document;

/// The document as JSON.
pub fn json() -> String {
    Document::openapi().to_pretty_json().unwrap_or_default()
}
