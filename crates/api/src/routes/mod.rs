//! The table of routes. Router, access control and OpenAPI document all derive from it.

mod channels;
mod documentation;
mod exports;
mod health;
mod messages;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::guard::{Get, Guard, GuardContext, Head};
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, guard, web};
use utoipa::OpenApi as _;

use crate::auth;
use crate::endpoint::Endpoint;
use crate::openapi;
use crate::problem::{Code, Problem};

/// Declares the table: method, path, required access and handler of each route. `api` routes carry a `utoipa::path`, which
/// the OpenAPI document includes; `pages` are for people and are not in the document. Of several paths that match a request,
/// the first serves it.
macro_rules! routes {
    (
        api { $($method:ident $path:literal $access:ident => $($handler:ident)::+;)+ }
        pages { $($page_path:literal => $($page:ident)::+;)+ }
    ) => {
        /// All routes, in order.
        pub fn table() -> Vec<Endpoint> {
            vec![
                $(Endpoint {
                    path: $path,
                    method: Method::$method,
                    access: auth::Access::$access,
                    is_documented: true,
                    route: || web::to($($handler)::+),
                },)+
                $(Endpoint {
                    path: $page_path,
                    method: Method::GET,
                    access: auth::Access::Public,
                    is_documented: false,
                    route: || web::to($($page)::+),
                },)+
            ]
        }

        /// What the handlers declare.
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($($handler)::+),+))]
        struct Handlers;
    };
}

routes! {
    api {
        GET "/health" Public => health::health;
        GET "/livez" Public => health::alive;
        GET "/readyz" Public => health::ready;
        GET "/exports" Read => exports::list::list;
        POST "/exports" Write => exports::create::create;
        GET "/exports/{job_id}" Read => exports::get::get;
        GET "/exports/{job_id}/events" Read => exports::events::events;
        GET "/exports/{job_id}/messages" Read => messages::of_export;
        POST "/exports/{job_id}/cancel" Write => exports::cancel::cancel;
        POST "/exports/{job_id}/retry" Write => exports::retry::retry;
        GET "/channels" Read => channels::list;
        GET "/channels/{channel_id}" Read => channels::get;
        GET "/channels/{channel_id}/messages" Read => messages::of_channel;
        GET "/channels/{channel_id}/messages/{message_id}" Read => messages::get;
    }
    pages {
        "/openapi.json" => openapi_document;
        "/docs/errors" => documentation::errors;
        "/docs" => documentation::index;
        "/docs/{file:.*}" => documentation::file;
    }
}

/// The OpenAPI document as JSON.
pub fn openapi_json() -> String {
    openapi::json(&table(), Handlers::openapi())
}

/// `GET /openapi.json`
async fn openapi_document() -> HttpResponse {
    static DOCUMENT: LazyLock<String> = LazyLock::new(openapi_json);
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}

/// Registers all routes. A known path with another method is 405, an unknown path 404.
pub fn configure(service: &mut web::ServiceConfig) {
    for (path, endpoints) in by_path() {
        let allow = allowed_methods(&endpoints);
        let required: Vec<_> =
            endpoints.iter().map(|endpoint| (endpoint.method.clone(), endpoint.access)).collect();
        let mut resource = web::resource(path);
        for endpoint in endpoints {
            resource = resource.route((endpoint.route)().guard(MethodGuard(endpoint.method)));
        }
        let resource = resource.default_service(web::to(move || {
            let allow = allow.clone();
            async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allow)) }
        }));
        service.service(
            resource.wrap(from_fn(move |request, next| auth::check(required.clone(), request, next))),
        );
    }
    service.default_service(web::to(async || -> Result<HttpResponse, Problem> {
        Err(Problem::new(Code::NotFound, "The API has no such path."))
    }));
}

/// Groups the table by path, keeping its order.
fn by_path() -> Vec<(&'static str, Vec<Endpoint>)> {
    let mut paths: Vec<(&'static str, Vec<Endpoint>)> = Vec::new();
    let mut indexes = BTreeMap::new();
    for endpoint in table() {
        let index = *indexes.entry(endpoint.path).or_insert(paths.len());
        if index == paths.len() {
            paths.push((endpoint.path, Vec::new()));
        }
        paths[index].1.push(endpoint);
    }
    paths
}

/// The value of the header `Allow`.
fn allowed_methods(endpoints: &[Endpoint]) -> String {
    let methods = endpoints.iter().map(|endpoint| match endpoint.method {
        Method::GET => "GET, HEAD",
        _ => endpoint.method.as_str(),
    });
    methods.collect::<Vec<_>>().join(", ")
}

/// Matches a method. GET also matches HEAD, which is GET without the body.
struct MethodGuard(Method);

impl Guard for MethodGuard {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        match self.0 {
            Method::GET => guard::Any(Get()).or(Head()).check(context),
            _ => context.head().method == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_documented_route_has_a_summary_responses_and_examples() {
        let document: Value = serde_json::from_str(&openapi_json()).unwrap();
        for endpoint in table().into_iter().filter(|endpoint| endpoint.is_documented) {
            let operation = &document["paths"][endpoint.path][endpoint.method.as_str().to_ascii_lowercase()];
            assert!(operation.is_object(), "{} {}", endpoint.method, endpoint.path);
            assert!(operation["summary"].is_string(), "{operation}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{status} {response}"
                );
                for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                    let examples = content["examples"].as_object().is_some_and(|all| !all.is_empty());
                    assert!(
                        examples || !content["example"].is_null(),
                        "{} {status} {media_type} has no example",
                        endpoint.path
                    );
                }
            }
        }
    }

    #[test]
    fn the_openapi_document_in_the_repository_is_up_to_date() {
        let committed = include_str!("../../../../docs/openapi.json");
        assert!(committed == openapi_json(), "docs/openapi.json is out of date: run scripts/openapi.sh");
    }
}
