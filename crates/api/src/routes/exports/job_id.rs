//! The job id in a path.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use tracing::Span;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// Extracts the id and records it in the request's span. The service makes ids itself, as UUIDs: any other text is the id
/// of no export.
pub(in crate::routes) struct JobId(pub(in crate::routes) Uuid);

impl FromRequest for JobId {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let text = web::Path::<String>::from_request(request, payload).into_inner();
        let job_id = text.ok().and_then(|text| Uuid::parse_str(&text).ok());
        if let Some(job_id) = job_id {
            Span::current().record("job_id", tracing::field::display(job_id));
        }
        ready(job_id.map(Self).ok_or_else(not_found))
    }
}

pub(in crate::routes) fn not_found() -> Problem {
    Problem::new(Code::ExportNotFound, "No export has this job_id.")
}
