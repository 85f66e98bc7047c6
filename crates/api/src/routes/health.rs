//! `/health`, `/livez`, `/readyz`: whether the process lives, whether it can do its work.

use actix_web::{HttpResponse, web};
use dce_core::store::reading::blockers::ServiceState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::state::{AppState, in_time};
use crate::wire::all;
use crate::wire::blocker::ReadinessProblem;

/// Whether the process lives
///
/// 200 as long as the process answers at all; looks at nothing else, so that no outage elsewhere gets it restarted.
#[utoipa::path(get, path = "/livez", tag = "service", responses(
    (status = 200, description = "It lives.", body = Alive, example = json!({ "ok": true })),
))]
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Alive { ok: true })
}

/// Whether the process lives
///
/// The same as `/livez`.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, description = "It lives.", body = Alive, example = json!({ "ok": true })),
))]
pub(crate) async fn health() -> HttpResponse {
    alive().await
}

/// The process answers.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// Always true.
    ok: bool,
}

/// Whether the service can do its work
///
/// 200 if database and schema are there, else 503. Without workers exports wait, but the API works; what else keeps
/// exports from going on makes it `degraded`: taking the API out of service would mend none of it.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "It can.", body = Readiness,
     example = json!({ "status": "ready", "database": "ok", "workers_live": 2, "problems": [] })),
    (status = 503, description = "`database_unavailable`, `schema_missing`"),
    (status = 500, description = "`internal_error`"),
))]
pub(crate) async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let now = in_time(ServiceState::read(&state.pool)).await?;
    let problems = now.problems();
    Ok(HttpResponse::Ok().json(Readiness {
        status: if problems.is_empty() { "ready" } else { "degraded" },
        database: if now.read_only { "read_only" } else { "ok" },
        workers_live: now.workers.len(),
        problems: all(problems),
    }))
}

/// What a probe and whoever looks after the service want to know.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ready` or `degraded`.
    status: &'static str,
    /// `ok` or `read_only`.
    database: &'static str,
    /// Workers heard of within a lease, those that drain or have a problem too.
    workers_live: usize,
    /// What is not as it should be.
    problems: Vec<ReadinessProblem>,
}
