//! `/health`, `/livez`, `/readyz`: whether the process lives, whether it can do its work.

use actix_web::{HttpResponse, web};
use dce_core::store::waiting::{self, Surroundings};
use serde::Serialize;
use serde_json::json;

use crate::problem::Problem;
use crate::state::{AppState, in_time};

/// 200 as long as the process answers at all; looks at nothing else, so that no outage elsewhere gets it restarted.
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "ok": true }))
}

/// 200 if database and schema are there, else 503. Without workers exports wait, but the API works; what else keeps
/// exports from going on makes it `degraded`: taking the API out of service would mend none of it.
pub(super) async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let now = in_time(Surroundings::look(&state.pool)).await?;
    let problems = now.problems();
    Ok(HttpResponse::Ok().json(Readiness {
        status: if problems.is_empty() { "ready" } else { "degraded" },
        database: if now.read_only { "read_only" } else { "ok" },
        workers_live: now.workers.len(),
        problems,
    }))
}

/// What a probe and whoever looks after the service want to know.
#[derive(Serialize)]
struct Readiness {
    /// `ready` or `degraded`.
    status: &'static str,
    /// `ok` or `read_only`.
    database: &'static str,
    /// Workers heard of within a lease, those that drain or have a problem too.
    workers_live: usize,
    /// What is not as it should be.
    problems: Vec<waiting::Problem>,
}
