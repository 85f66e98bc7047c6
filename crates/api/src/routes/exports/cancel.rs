//! `POST /exports/{job_id}/cancel`

use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::store::transitions;

use super::control_response::{ControlResponse, respond};
use super::job_id::JobId;
use crate::problem::{Code, Problem};
use crate::request_body;
use crate::state::{AppState, in_time};

/// Cancel an export
///
/// Waiting runs are cancelled before the response is sent; active runs are being stopped. Archived messages stay. The
/// request can be repeated.
#[utoipa::path(post, path = "/exports/{job_id}/cancel", tag = "exports",
    responses(
        (status = 202, description = "The export is cancelled or being cancelled.", body = ControlResponse,
         headers(("Location" = String, description = "The export."), ("Retry-After" = u32, description = "Seconds after which to poll the export.")),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "running", "cancelling": true,
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 409, description = "`export_ended`, `nothing_to_retry`"),
    ))]
pub(in crate::routes) async fn cancel(
    request: HttpRequest,
    payload: web::Payload,
    JobId(job_id): JobId,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    request_body::empty(&request, payload).await?;
    let outcome = in_time(transitions::cancel(&state.pool, job_id, state.limit)).await?;
    respond(
        job_id,
        outcome,
        |status| !status.is_final(),
        |status| {
            let detail =
                format!("The export has {status}: there is nothing to cancel, and archived messages stay.");
            Problem::new(Code::ExportEnded, detail)
        },
    )
}
