//! The response to cancel and retry. Both can be repeated: a request that changes nothing gets the same response.

use actix_web::HttpResponse;
use dce_core::export::state::ExportStatus;
use dce_core::store::transitions::ControlOutcome;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::accepted::{Links, accepted, json};
use super::job_id::not_found;
use crate::problem::{Code, Problem};

/// The body of the 202.
#[derive(Serialize, ToSchema)]
#[schema(as = Controlled)]
pub(super) struct ControlResponse {
    job_id: Uuid,
    /// Derived from the runs: remains `running` until the last one has stopped.
    status: &'static str,
    /// True while runs are being stopped. The export then ends as cancelled, unless all of them complete first.
    cancelling: bool,
    links: Links,
}

/// `is_cancelling` decides from the new status; `refuse` makes the problem of an export whose status forbids the request.
pub(super) fn respond(
    job_id: Uuid,
    outcome: ControlOutcome,
    is_cancelling: impl FnOnce(ExportStatus) -> bool,
    refuse: impl FnOnce(ExportStatus) -> Problem,
) -> Result<HttpResponse, Problem> {
    match outcome {
        ControlOutcome::Now(status) => {
            let (cancelling, links) = (is_cancelling(status), Links::new(job_id));
            let body = ControlResponse { job_id, status: status.as_str(), cancelling, links };
            Ok(accepted(job_id, json(&body)))
        }
        ControlOutcome::NotFound => Err(not_found()),
        ControlOutcome::Refused(status) => Err(refuse(status)),
        ControlOutcome::IsImport => Err(Problem::new(
            Code::NothingToRetry,
            "The export is an import of files. Only a machine that has the files can repeat it: run `dce-worker import` \
             again with the same files. Messages that are archived already take no time.",
        )),
    }
}
