//! The 202 of a request whose work continues after the response.

use actix_web::HttpResponse;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Seconds after which a client should poll the export.
const POLL_AFTER: u32 = 1;

/// A 202 with this JSON, which names the export to poll.
pub(super) fn accepted(job_id: Uuid, body: String) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, Links::new(job_id).itself))
        .insert_header((RETRY_AFTER, POLL_AFTER))
        .content_type("application/json")
        .body(body)
}

/// Serialises a body. Texts, times and ids always serialise.
pub(super) fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

/// Related resources.
#[derive(Serialize, ToSchema)]
pub(super) struct Links {
    #[serde(rename = "self")]
    itself: String,
}

impl Links {
    pub(super) fn new(job_id: Uuid) -> Self {
        Self { itself: format!("/exports/{job_id}") }
    }
}
