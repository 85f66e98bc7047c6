//! Who asks, and whether it may. Each route says what it needs (`routes::table`), and nothing is served without asking here.

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

/// What a client needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No key.
    Nothing,
    /// Any key.
    Read,
    /// A key of scope `write`.
    Write,
}

/// Who asks. An extension of every request that was let in to a route with a need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The holder of the key with this name.
    Key(String),
    /// Whoever is at this address, where no keys are set.
    Address(Option<IpAddr>),
}

impl Caller {
    /// The name of its key.
    pub fn key_name(&self) -> Option<&str> {
        match self {
            Self::Key(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// What its limits and its idempotency keys are kept under. Never the key itself.
    pub fn identity(&self) -> String {
        match self {
            Self::Key(name) => format!("key:{name}"),
            Self::Address(Some(address)) => format!("address:{address}"),
            Self::Address(None) => "address:unknown".to_owned(),
        }
    }
}

/// Middleware of a path: lets in whoever has what the method needs. A method that the path does not take needs what its
/// least demanding one does: without a key nothing is told of what is behind it.
pub(crate) async fn check<B: MessageBody + 'static>(
    needs: Vec<(Method, Need)>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match admitted(&needs, &request) {
        Ok(Some(caller)) => {
            request.extensions_mut().insert(caller);
        }
        Ok(None) => {}
        Err(problem) => return Ok(request.error_response(problem)),
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// `None`: it needs nothing.
fn admitted(needs: &[(Method, Need)], request: &ServiceRequest) -> Result<Option<Caller>, Problem> {
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let of_method = needs.iter().find(|(known, _)| known == method).map(|(_, need)| *need);
    let need = of_method.unwrap_or_else(|| {
        if needs.iter().any(|(_, need)| *need == Need::Nothing) { Need::Nothing } else { Need::Read }
    });
    if need == Need::Nothing {
        return Ok(None);
    }
    let Some(keys) = request.app_data::<web::Data<AppState>>().and_then(|state| state.keys.as_ref()) else {
        return Ok(Some(Caller::Address(request.peer_addr().map(|address| address.ip()))));
    };
    let (name, scope) = known(keys, request.headers().get(AUTHORIZATION))?;
    if need == Need::Write && scope != Scope::Write {
        let detail = "This needs a key of scope `write`; yours has `read`.";
        return Err(Problem::new(Code::InsufficientScope, detail));
    }
    Ok(Some(Caller::Key(name.to_owned())))
}

fn known<'a>(keys: &'a Keys, header: Option<&HeaderValue>) -> Result<(&'a str, Scope), Problem> {
    let Some(header) = header else {
        return Err(unauthorized("Send the header Authorization: Bearer <key>."));
    };
    let key = header.to_str().ok().and_then(bearer);
    let Some(key) = key else {
        return Err(unauthorized("The header Authorization must be: Bearer <key>."));
    };
    keys.find(key).ok_or_else(|| unauthorized("The key is not one of the service's."))
}

/// The credentials of the scheme, whose name may be written in any case (RFC 9110).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dce-service\""))
}
