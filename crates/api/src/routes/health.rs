//! `/health`, `/livez`, `/readyz`: whether the process lives, whether it can do its work.

use actix_web::{HttpResponse, web};
use dce_core::store::workers;
use serde_json::json;

use crate::problem::Problem;
use crate::state::{AppState, in_time};

/// 200 as long as the process answers at all; looks at nothing else, so that no outage elsewhere gets it restarted.
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "ok": true }))
}

/// 200 if database and schema are there, else 503. Without workers exports wait, but the API works.
pub(super) async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let workers_live = in_time(workers::live_count(&state.pool)).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready", "database": "ok", "workers_live": workers_live })))
}
