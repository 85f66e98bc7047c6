//! The mistakes in a request, one entry for each, so that a client can correct all of them at once.

/// The part of the request that the mistake is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A JSON pointer (RFC 6901) into the body; also for missing fields.
    Pointer(String),
    Header(&'static str),
    /// A query parameter.
    Parameter(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// Neither the request nor the service's settings have it.
    Required,
    UnknownField,
    UnknownParameter,
    Repeated,
    WrongType,
    InvalidValue,
    /// Not available in this version of the service.
    NotAvailable,
    /// Two fields exclude each other, or one needs another.
    Conflict,
    InvalidId,
    /// Too few elements or characters.
    TooShort,
    /// Too many elements or characters.
    TooLong,
    /// Not an ISO 8601 time, or not in the calendar.
    InvalidTime,
    /// A time without an offset from UTC, which is ambiguous.
    MissingOffset,
    /// A time that Discord's ids cannot express, or an empty range of time.
    OutOfRange,
    UnsupportedFormat,
    ControlCharacter,
    /// A filter with a syntax error.
    InvalidFilter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub location: Location,
    pub code: FaultCode,
    /// The character of the text that the mistake is at, from 1.
    pub column: Option<usize>,
    /// The mistake and its correction, in one or two sentences.
    pub detail: String,
}

impl Fault {
    /// A mistake in a field of the body.
    pub fn in_field(name: &str, code: FaultCode, detail: impl Into<String>) -> Self {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Self { location: Location::Pointer(pointer), code, column: None, detail: detail.into() }
    }

    /// A mistake in an element of an array.
    pub fn in_element(name: &str, index: usize, code: FaultCode, detail: impl Into<String>) -> Self {
        let pointer = format!("/{name}/{index}");
        Self { location: Location::Pointer(pointer), code, column: None, detail: detail.into() }
    }

    pub fn in_parameter(name: &str, code: FaultCode, detail: impl Into<String>) -> Self {
        let location = Location::Parameter(name.to_owned());
        Self { location, code, column: None, detail: detail.into() }
    }

    pub fn in_header(name: &'static str, code: FaultCode, detail: impl Into<String>) -> Self {
        Self { location: Location::Header(name), code, column: None, detail: detail.into() }
    }
}
