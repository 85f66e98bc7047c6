//! What is wrong with a request: one entry for each mistake, so that a client can mend all of them at once.

use serde::Serialize;
use utoipa::ToSchema;

/// Where in the request the mistake is. Serialises as `"pointer": "/start_at"`, `"header": "Idempotency-Key"` or
/// `"parameter": "limit"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A JSON pointer (RFC 6901) into the body; it also names fields that are missing.
    Pointer(String),
    /// A header by its name.
    Header(&'static str),
    /// A parameter of the query by its name.
    Parameter(String),
}

/// The class of a mistake, for programs; clients see it in `snake_case`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// Neither the request nor the service's settings name it.
    Required,
    /// No field has this name.
    UnknownField,
    /// No parameter of the query has this name.
    UnknownParameter,
    /// A parameter is there more than once.
    Repeated,
    /// Another JSON type is expected.
    WrongType,
    /// Not one of the values that the field knows.
    InvalidValue,
    /// Known, but this version of the service does not do it.
    NotAvailable,
    /// Two fields exclude each other, or one needs another.
    Conflict,
    /// Not a Discord id.
    InvalidId,
    /// Too few elements or characters.
    TooShort,
    /// Too many elements or characters.
    TooLong,
    /// Not an ISO 8601 time, or one that no calendar has.
    InvalidTime,
    /// A time without an offset from UTC: nobody knows which moment is meant.
    MissingOffset,
    /// A time that Discord's ids cannot express, or an empty range of time.
    OutOfRange,
    /// An export format other than `Json`.
    UnsupportedFormat,
    /// Text with control characters.
    ControlCharacter,
    /// Text that `DiscordChatExporter` would take for one of its options.
    LooksLikeOption,
}

/// One mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// Its class.
    pub code: FaultCode,
    /// What is wrong and what would be right, in one or two sentences.
    pub detail: String,
}

impl Fault {
    /// A mistake in the field of the body with this name.
    pub fn in_field(name: &str, code: FaultCode, detail: impl Into<String>) -> Self {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Self { place: Place::Pointer(pointer), code, detail: detail.into() }
    }

    /// A mistake in an element of the array with this name.
    pub fn in_element(name: &str, index: usize, code: FaultCode, detail: impl Into<String>) -> Self {
        Self { place: Place::Pointer(format!("/{name}/{index}")), code, detail: detail.into() }
    }

    /// A mistake in a parameter of the query.
    pub fn in_parameter(name: &str, code: FaultCode, detail: impl Into<String>) -> Self {
        Self { place: Place::Parameter(name.to_owned()), code, detail: detail.into() }
    }

    /// A mistake in a header.
    pub fn in_header(name: &'static str, code: FaultCode, detail: impl Into<String>) -> Self {
        Self { place: Place::Header(name), code, detail: detail.into() }
    }
}
