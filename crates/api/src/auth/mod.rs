//! Authentication and authorisation. The table of routes names the access that each route requires; every request is
//! checked here.

pub mod keys;
pub mod new_key;

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};

use self::keys::{Keys, Scope};
use crate::problem::{Code, Problem};
use crate::state::AppState;

/// The access that a route requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No key.
    Public,
    /// Any key.
    Read,
    /// A key of scope `write`.
    Write,
}

/// The authenticated client: an extension of every admitted request to a route that is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The holder of the key with this name.
    Key(String),
    /// The client at this address, where no keys are configured.
    Address(Option<IpAddr>),
}

impl Caller {
    pub fn key_name(&self) -> Option<&str> {
        match self {
            Self::Key(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// Identifies the client's rate limit and idempotency keys. Never contains the key itself.
    pub fn identity(&self) -> String {
        match self {
            Self::Key(name) => format!("key:{name}"),
            Self::Address(Some(address)) => format!("address:{address}"),
            Self::Address(None) => "address:unknown".to_owned(),
        }
    }
}

/// Middleware of one path: admits clients with the access that the method requires. A method that the path does not
/// support requires at least `Read` unless the path is public: without a key, nothing about the path is revealed.
pub(crate) async fn check<B: MessageBody + 'static>(
    required: Vec<(Method, Access)>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match authorize(&required, &request) {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
        }
        Ok(None) => {}
        Err(problem) => return Ok(request.error_response(problem)),
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Returns the caller; `None` on a public route.
fn authorize(required: &[(Method, Access)], request: &ServiceRequest) -> Result<Option<Caller>, Problem> {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let of_method = required.iter().find(|(known, _)| known == method).map(|(_, access)| *access);
    let access = of_method.unwrap_or_else(|| {
        if required.iter().any(|(_, access)| *access == Access::Public) {
            Access::Public
        } else {
            Access::Read
        }
    });
    if access == Access::Public {
        return Ok(None);
    }
    let Some(keys) = request.app_data::<web::Data<AppState>>().and_then(|state| state.keys.as_ref()) else {
        return Ok(Some(Caller::Address(request.peer_addr().map(|address| address.ip()))));
    };
    let (name, scope) = authenticate(keys, request.headers().get(AUTHORIZATION))?;
    if access == Access::Write && scope != Scope::Write {
        let detail = "This request requires a key of scope `write`; yours has scope `read`.";
        return Err(Problem::new(Code::InsufficientScope, detail));
    }
    Ok(Some(Caller::Key(name.to_owned())))
}

fn authenticate<'a>(keys: &'a Keys, header: Option<&HeaderValue>) -> Result<(&'a str, Scope), Problem> {
    let Some(header) = header else {
        return Err(unauthorized("Send the header Authorization: Bearer <key>."));
    };
    let key = header.to_str().ok().and_then(bearer);
    let Some(key) = key else {
        return Err(unauthorized("The header Authorization is malformed. Send Authorization: Bearer <key>."));
    };
    keys.find(key).ok_or_else(|| unauthorized("The key is unknown: it is not in API_KEYS."))
}

/// The key after the scheme, whose name is case-insensitive (RFC 9110).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dce-service\""))
}
