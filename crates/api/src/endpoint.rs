//! One row of the table of routes: a path with a method, the access that it needs, and its handler.

use actix_web::Route;
use actix_web::http::Method;

use crate::auth::Access;

pub struct Endpoint {
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// The method; GET also answers HEAD.
    pub method: Method,
    pub access: Access,
    /// Whether the OpenAPI document describes it; pages for people are not in the document.
    pub is_documented: bool,
    pub(crate) route: fn() -> Route,
}
