//! `/exports/{job_id}`: shows what became of one.

use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpResponse, web};
use dce_core::store::{self, ExportView};
use serde::Serialize;
use tracing::Span;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::state::{AppState, in_time};

/// Seconds after which a client may look what became of its export.
pub(super) const POLL_AFTER: u32 = 1;

/// Look at an export
///
/// Its state, counts and runs.
#[utoipa::path(get, path = "/exports/{job_id}", tag = "exports",
    params(("job_id" = Uuid, Path, description = "The export.")),
    responses(
        (status = 200, description = "The export.", body = ExportView, example = json!({})),
        (status = 404, description = "`export_not_found`"),
    ))]
pub(crate) async fn show(
    job_id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let job_id = known(&job_id)?;
    let view = in_time(store::view::find(&state.pool, job_id)).await?.ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(view))
}

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

/// A 202: the work goes on, its state is to be looked for.
pub(super) fn accepted(links: &Links, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, links.itself.as_str()))
        .insert_header((RETRY_AFTER, POLL_AFTER))
        .json(body)
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

    /// The path of the export.
    pub(super) fn itself(&self) -> &str {
        &self.itself
    }
}
