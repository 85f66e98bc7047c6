//! What the routes of an export share.

use actix_web::HttpResponse;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use serde::Serialize;
use tracing::Span;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// Seconds after which a client may look what became of its export.
const POLL_AFTER: u32 = 1;

/// The id in the path. Ids are UUIDs that the service makes itself: another text is the id of nothing.
pub(super) fn known(job_id: &str) -> Result<Uuid, Problem> {
    let job_id = Uuid::parse_str(job_id).map_err(|_| not_found())?;
    Span::current().record("job_id", tracing::field::display(job_id));
    Ok(job_id)
}

/// No export has the id.
pub(super) fn not_found() -> Problem {
    Problem::new(Code::ExportNotFound, "No export has this job_id.")
}

/// A 202 with this JSON: the work goes on, its state is to be looked for.
pub(super) fn accepted(job_id: Uuid, body: String) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, Links::of(job_id).itself))
        .insert_header((RETRY_AFTER, POLL_AFTER))
        .content_type("application/json")
        .body(body)
}

/// As the body of an answer. Texts, times and ids always serialise.
pub(super) fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

/// Where to go from here.
#[derive(Serialize, ToSchema)]
pub(super) struct Links {
    #[serde(rename = "self")]
    itself: String,
}

impl Links {
    /// Of an export.
    pub(super) fn of(job_id: Uuid) -> Self {
        Self { itself: format!("/exports/{job_id}") }
    }
}
