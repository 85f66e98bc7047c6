//! Paths and methods; one file for each kind of thing.

mod control;
mod exports;
mod health;

use actix_web::guard::{Any, Get, Head};
use actix_web::{HttpResponse, Resource, Route, web};

use crate::problem::{Code, Problem};

/// All routes. A known path with another method is 405, an unknown path 404.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(readable("/health").route(read().to(health::alive)))
        .service(readable("/livez").route(read().to(health::alive)))
        .service(readable("/readyz").route(read().to(health::ready)))
        .service(only("/exports", "POST").route(web::post().to(exports::create)))
        .service(readable("/exports/{job_id}").route(read().to(exports::show)))
        .service(only("/exports/{job_id}/cancel", "POST").route(web::post().to(control::cancel)))
        .service(only("/exports/{job_id}/retry", "POST").route(web::post().to(control::retry)))
        .default_service(web::to(async || -> Result<HttpResponse, Problem> {
            Err(Problem::new(Code::NotFound, "The API has no such path."))
        }));
}

/// A path that is only read.
fn readable(path: &str) -> Resource {
    only(path, "GET, HEAD")
}

/// A path that takes these methods.
fn only(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, _>(Problem::method_not_allowed(allow))
    }))
}

/// GET, and HEAD, which is GET without the body.
fn read() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}
