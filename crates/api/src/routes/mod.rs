//! Paths and methods; one file for each kind of thing.

pub(crate) mod channels;
pub(crate) mod control;
mod documents;
pub(crate) mod events;
pub(crate) mod exports;
pub(crate) mod health;
pub(crate) mod listing;
pub(crate) mod messages;
pub(crate) mod new_export;
pub(crate) mod show;
pub(crate) mod submit;

use std::collections::BTreeMap;

use actix_web::guard::{Get, Guard, GuardContext, Head};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Route, guard, web};

use crate::auth::{self, Need};
use crate::problem::{Code, Problem};

/// A path with a method, and what a client needs for it.
pub struct Endpoint {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// The method; GET answers HEAD too.
    pub method: Method,
    /// What a client needs.
    pub need: Need,
    route: fn() -> Route,
}

/// All endpoints.
pub fn table() -> Vec<Endpoint> {
    vec![
        get("/health", Need::Nothing, || web::to(health::health)),
        get("/livez", Need::Nothing, || web::to(health::alive)),
        get("/readyz", Need::Nothing, || web::to(health::ready)),
        get("/openapi.json", Need::Nothing, || web::to(documents::openapi)),
        get("/docs/errors", Need::Nothing, || web::to(documents::errors)),
        get("/docs", Need::Nothing, || web::to(documents::index)),
        get("/docs/{file:.*}", Need::Nothing, || web::to(documents::file)),
        get("/exports", Need::Read, || web::to(listing::list)),
        post("/exports", Need::Write, || web::to(submit::create)),
        get("/exports/{job_id}", Need::Read, || web::to(show::show)),
        get("/exports/{job_id}/events", Need::Read, || web::to(events::events)),
        get("/exports/{job_id}/messages", Need::Read, || web::to(messages::of_export)),
        post("/exports/{job_id}/cancel", Need::Write, || web::to(control::cancel)),
        post("/exports/{job_id}/retry", Need::Write, || web::to(control::retry)),
        get("/channels", Need::Read, || web::to(channels::list)),
        get("/channels/{channel_id}", Need::Read, || web::to(channels::show)),
        get("/channels/{channel_id}/messages", Need::Read, || web::to(messages::of_channel)),
        get("/channels/{channel_id}/messages/{message_id}", Need::Read, || web::to(messages::show)),
    ]
}

fn get(path: &'static str, need: Need, route: fn() -> Route) -> Endpoint {
    Endpoint { path, method: Method::GET, need, route }
}

fn post(path: &'static str, need: Need, route: fn() -> Route) -> Endpoint {
    Endpoint { path, method: Method::POST, need, route }
}

/// All routes. A known path with another method is 405, an unknown path 404.
pub fn configure(service: &mut web::ServiceConfig) {
    for (path, endpoints) in by_path() {
        let allow = allowed(&endpoints);
        let needs: Vec<_> =
            endpoints.iter().map(|endpoint| (endpoint.method.clone(), endpoint.need)).collect();
        let mut resource = web::resource(path);
        for endpoint in endpoints {
            resource = resource.route((endpoint.route)().guard(Takes(endpoint.method)));
        }
        let refused = allow.clone();
        let resource = resource.default_service(web::to(move || {
            let allow = refused.clone();
            async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allow)) }
        }));
        service
            .service(resource.wrap(from_fn(move |request, next| auth::check(needs.clone(), request, next))));
    }
    service.default_service(web::to(async || -> Result<HttpResponse, Problem> {
        Err(Problem::new(Code::NotFound, "The API has no such path."))
    }));
}

/// The table by path, in the order in which paths come: the first that fits is taken.
fn by_path() -> Vec<(&'static str, Vec<Endpoint>)> {
    let mut paths: Vec<(&'static str, Vec<Endpoint>)> = Vec::new();
    let mut places = BTreeMap::new();
    for endpoint in table() {
        let place = *places.entry(endpoint.path).or_insert(paths.len());
        if place == paths.len() {
            paths.push((endpoint.path, Vec::new()));
        }
        paths[place].1.push(endpoint);
    }
    paths
}

/// The value of the header `Allow`.
fn allowed(endpoints: &[Endpoint]) -> String {
    let methods = endpoints.iter().map(|endpoint| match endpoint.method {
        Method::GET => "GET, HEAD",
        _ => endpoint.method.as_str(),
    });
    methods.collect::<Vec<_>>().join(", ")
}

/// The method; for GET also HEAD, which is GET without the body.
struct Takes(Method);

impl Guard for Takes {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        match self.0 {
            Method::GET => guard::Any(Get()).or(Head()).check(context),
            _ => context.head().method == self.0,
        }
    }
}
