//! `POST /exports/{job_id}/retry`

use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::export::state::ExportStatus;
use dce_core::store::transitions;

use super::control_response::{ControlResponse, respond};
use super::job_id::JobId;
use crate::problem::{Code, Problem};
use crate::request_body;
use crate::state::{AppState, in_time};

/// Retry an export
///
/// Failed and cancelled runs become pending. Each resumes from its last stored message. The request can be repeated.
#[utoipa::path(post, path = "/exports/{job_id}/retry", tag = "exports",
    responses(
        (status = 202, description = "The export continues.", body = ControlResponse,
         headers(("Location" = String, description = "The export."), ("Retry-After" = u32, description = "Seconds after which to poll the export.")),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "pending", "cancelling": false,
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 409, description = "`nothing_to_retry`"),
    ))]
pub(in crate::routes) async fn retry(
    request: HttpRequest,
    payload: web::Payload,
    JobId(job_id): JobId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    request_body::empty(&request, payload).await?;
    let outcome = in_time(transitions::retry(&state.pool, job_id, state.limit)).await?;
    respond(
        job_id,
        outcome,
        |_| false,
        |status| {
            let detail = if status == ExportStatus::Completed {
                "The export has completed: create a new one to export the channel again."
            } else {
                "The export has not ended, none of its channels has failed or been cancelled, and no cancel is pending."
            };
            Problem::new(Code::NothingToRetry, detail)
        },
    )
}
