//! `/health`, `/livez` and `/readyz`: whether the process is alive and whether it can work.

use actix_web::{HttpResponse, web};
use dce_core::store::reading::blockers::ServiceState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::state::{AppState, in_time};
use crate::wire::all;
use crate::wire::blocker::ReadinessProblem;

/// Check that the process is alive
///
/// 200 as long as the process responds at all. It checks nothing else, so that no outage elsewhere causes a restart.
#[utoipa::path(get, path = "/livez", tag = "service", responses(
    (status = 200, description = "The process is alive.", body = Alive, example = json!({ "ok": true })),
))]
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Alive { ok: true })
}

/// Check that the process is alive
///
/// The same as `/livez`.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, description = "The process is alive.", body = Alive, example = json!({ "ok": true })),
))]
pub(super) async fn health() -> HttpResponse {
    alive().await
}

/// The process is alive.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// Always true.
    ok: bool,
}

/// Check that the service can work
///
/// 200 if the database is reachable and has its schema, otherwise 503. Anything else that keeps exports from progressing,
/// such as missing workers, only makes the service `degraded`: the API itself works, and taking it out of service would
/// not help.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "The service can work.", body = Readiness,
     example = json!({ "status": "ready", "database": "ok", "workers_live": 2, "problems": [] })),
    (status = 503, description = "`database_unavailable`, `schema_missing`"),
    (status = 500, description = "`internal_error`"),
))]
pub(super) async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let now = in_time(ServiceState::read(&state.pool)).await?;
    let problems = now.problems();
    Ok(HttpResponse::Ok().json(Readiness {
        status: if problems.is_empty() { "ready" } else { "degraded" },
        database: if now.read_only { "read_only" } else { "ok" },
        workers_live: now.workers.len(),
        problems: all(problems),
    }))
}

/// The state of the service, for probes and operators.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ready` or `degraded`.
    status: &'static str,
    /// `ok` or `read_only`.
    database: &'static str,
    /// Workers that sent a heartbeat within one lease, including those that are draining or have a problem.
    workers_live: usize,
    /// What keeps exports from progressing.
    problems: Vec<ReadinessProblem>,
}
