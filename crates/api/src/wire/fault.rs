//! Errors in a request.

use dce_core::export::request;
use serde::Serialize;
use utoipa::ToSchema;

use super::body;

body! {
    /// One error in a request.
    Fault from fault: request::Fault {
        #[serde(flatten)]
        location: Location = fault.location.into(),
        /// The kind of error.
        code: FaultCode = fault.code.into(),
        /// In a filter: the character that the error is at, from 1; at the end of the filter, its length + 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<usize>,
        /// What is wrong, and the remedy.
        detail: String,
    }
}

/// Where in the request the error is, such as `"pointer": "/start_at"`, `"header": "Idempotency-Key"` or
/// `"parameter": "limit"`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Place)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A JSON pointer (RFC 6901) into the body. It can name a missing field.
    Pointer(String),
    /// Name of a header.
    Header(&'static str),
    /// Name of a query parameter.
    Parameter(String),
}

impl From<request::Location> for Location {
    fn from(location: request::Location) -> Self {
        match location {
            request::Location::Pointer(pointer) => Self::Pointer(pointer),
            request::Location::Header(name) => Self::Header(name),
            request::Location::Parameter(name) => Self::Parameter(name),
        }
    }
}

/// Mirrors an enum of the core whose variants serialise as codes in `snake_case`.
macro_rules! codes {
    ($(#[$attribute:meta])* $name:ident from $type:path { $($variant:ident)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant,)* }

        impl From<$type> for $name {
            fn from(code: $type) -> Self {
                use $type as Code;
                match code { $(Code::$variant => Self::$variant,)* }
            }
        }
    };
}

codes! {
    /// The kind of error, for programs.
    FaultCode from request::FaultCode {
        Required UnknownField UnknownParameter Repeated WrongType InvalidValue NotAvailable Conflict InvalidId TooShort TooLong
        InvalidTime MissingOffset OutOfRange UnsupportedFormat ControlCharacter InvalidFilter
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_serialises_flat() {
        let fault = request::Fault::in_field("start_at", request::FaultCode::MissingOffset, "has no offset");
        assert_eq!(
            serde_json::to_value(Fault::from(fault)).unwrap(),
            json!({ "pointer": "/start_at", "code": "missing_offset", "detail": "has no offset" })
        );
        let fault = request::Fault {
            column: Some(6),
            ..request::Fault::in_field("filter", request::FaultCode::InvalidFilter, "column 6: …")
        };
        assert_eq!(
            serde_json::to_value(Fault::from(fault)).unwrap(),
            json!({ "pointer": "/filter", "code": "invalid_filter", "column": 6, "detail": "column 6: …" })
        );
        let fault = request::Fault::in_header("Idempotency-Key", request::FaultCode::NotAvailable, "not yet");
        assert_eq!(serde_json::to_value(Fault::from(fault)).unwrap()["header"], "Idempotency-Key");
    }
}
