//! `/exports/{job_id}/cancel` and `/retry`. What is so already is answered like what was done: both can be repeated.

use actix_web::{HttpRequest, HttpResponse, web};
use dce_core::export::state::ExportStatus;
use dce_core::store::transitions::{self, ControlOutcome};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::exports::{Links, accepted, json, known, not_found};
use crate::body;
use crate::problem::{Code, Problem};
use crate::state::{AppState, in_time};

/// Cancel an export
///
/// What waits has ended with the answer, what runs is being stopped. What was archived stays. Can be repeated.
#[utoipa::path(post, path = "/exports/{job_id}/cancel", tag = "exports",
    params(("job_id" = Uuid, Path, description = "The export.")),
    responses(
        (status = 202, description = "It is cancelled, or is being cancelled.", body = Answer,
         headers(("Location" = String, description = "The export."), ("Retry-After" = u32, description = "Seconds after which to look again.")),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "running", "cancelling": true,
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 404, description = "`export_not_found`"),
        (status = 409, description = "`export_ended`, `nothing_to_retry`"),
        (status = 422, description = "`validation_failed`"),
    ))]
pub(crate) async fn cancel(
    request: HttpRequest,
    payload: web::Payload,
    job_id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let job_id = known(&job_id)?;
    body::nothing(&request, payload).await?;
    match in_time(transitions::cancel(&state.pool, job_id, state.limit)).await? {
        ControlOutcome::Now(status) => Ok(answer(job_id, status, !status.is_final())),
        ControlOutcome::NotFound => Err(not_found()),
        ControlOutcome::Refused(status) => Err(Problem::new(
            Code::ExportEnded,
            format!("The export has {status}: there is nothing left to cancel, and what it archived stays."),
        )),
        ControlOutcome::IsImport => Err(is_import()),
    }
}

/// Retry an export
///
/// Failed and cancelled runs wait to go on from their last message. Can be repeated.
#[utoipa::path(post, path = "/exports/{job_id}/retry", tag = "exports",
    params(("job_id" = Uuid, Path, description = "The export.")),
    responses(
        (status = 202, description = "It goes on.", body = Answer,
         headers(("Location" = String, description = "The export."), ("Retry-After" = u32, description = "Seconds after which to look again.")),
         example = json!({ "job_id": "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e", "status": "pending", "cancelling": false,
                           "links": { "self": "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e" } })),
        (status = 404, description = "`export_not_found`"),
        (status = 409, description = "`nothing_to_retry`"),
        (status = 422, description = "`validation_failed`"),
    ))]
pub(crate) async fn retry(
    request: HttpRequest,
    payload: web::Payload,
    job_id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let job_id = known(&job_id)?;
    body::nothing(&request, payload).await?;
    match in_time(transitions::retry(&state.pool, job_id, state.limit)).await? {
        ControlOutcome::Now(status) => Ok(answer(job_id, status, false)),
        ControlOutcome::NotFound => Err(not_found()),
        ControlOutcome::Refused(status) => Err(Problem::new(Code::NothingToRetry, nothing_to_retry(status))),
        ControlOutcome::IsImport => Err(is_import()),
    }
}

fn is_import() -> Problem {
    Problem::new(
        Code::NothingToRetry,
        "The export is an import of files, which only whoever has them can repeat: run `dce-worker import` again with the \
         same files. What is archived already costs no time.",
    )
}

fn nothing_to_retry(status: ExportStatus) -> &'static str {
    if status == ExportStatus::Completed {
        "The export has completed: create a new one to export the channel again."
    } else {
        "The export has not ended, no channel of it has failed or been cancelled, and no cancel is outstanding."
    }
}

fn answer(job_id: Uuid, status: ExportStatus, cancelling: bool) -> HttpResponse {
    let links = Links::of(job_id);
    accepted(job_id, json(&Answer { job_id, status: status.as_str(), cancelling, links }))
}

/// The body of a 202.
#[derive(Serialize, ToSchema)]
#[schema(as = Controlled)]
struct Answer {
    job_id: Uuid,
    /// Derived from the runs: stays `running` until the last one has been stopped.
    status: &'static str,
    /// Whether runs are being stopped, so that the export will end as cancelled unless they complete before.
    cancelling: bool,
    links: Links,
}
