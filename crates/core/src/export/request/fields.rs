//! The fields of the body of `POST /exports`.

use chrono::{DateTime, Utc};
use dce_filter::Filter;
use serde_json::{Map, Value};

use super::fault::{Fault, FaultCode};
use super::time::parse_time;
use crate::export::conflict::OnConflict;
use crate::ids::Snowflake;

/// Maximum number of channels of an export.
pub const MAX_CHANNELS: usize = 500;
/// Maximum length of a filter.
pub const MAX_FILTER_CHARS: usize = 1000;
/// The only format that the service ingests.
pub const FORMAT: &str = "Json";
/// Maximum number of mistakes that are listed: the answer to a nonsensical body would otherwise be many times its size.
pub(super) const MAX_FAULTS: usize = 100;

/// All fields of the body.
pub(super) const FIELDS: [&str; 12] = [
    "channel_id",
    "channel_ids",
    "start_at",
    "end_at",
    "format",
    "media",
    "include_threads",
    "markdown",
    "filter",
    "on_conflict",
    "keep_versions",
    "callback_url",
];

/// Parses fields one by one and collects the mistakes.
pub(super) struct Fields<'a> {
    body: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(body: &'a Map<String, Value>) -> Self {
        Self { body, faults: Vec::new() }
    }

    pub(super) fn finish<T>(self, request: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() { Ok(request) } else { Err(self.faults) }
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    fn push(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    pub(super) fn fault(&mut self, name: &str, code: FaultCode, detail: impl Into<String>) {
        self.push(Fault::in_field(name, code, detail));
    }

    fn wrong_type(&mut self, name: &str, wanted: &str, found: &Value) {
        self.fault(name, FaultCode::WrongType, format!("must be {wanted}, not {}", kind(found)));
    }

    fn string(&mut self, name: &str) -> Option<&'a str> {
        let value = self.value(name)?;
        if value.as_str().is_none() {
            self.wrong_type(name, "a string", value);
        }
        value.as_str()
    }

    pub(super) fn boolean(&mut self, name: &str) -> bool {
        let Some(value) = self.value(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong_type(name, "true or false", value);
            false
        })
    }

    pub(super) fn channels(&mut self, default: Option<Snowflake>) -> Vec<Snowflake> {
        let (one, many) = (self.value("channel_id"), self.value("channel_ids"));
        if one.is_some() && many.is_some() {
            self.fault(
                "channel_ids",
                FaultCode::Conflict,
                "cannot be combined with channel_id: use only one of them",
            );
        }
        let mut channels = Vec::new();
        if let Some(value) = one {
            match channel(value) {
                Ok(id) => channels.push(id),
                Err((code, detail)) => self.fault("channel_id", code, detail),
            }
        }
        match many {
            Some(Value::Array(values)) => self.channel_list(values, &mut channels),
            Some(value) => self.wrong_type("channel_ids", "an array of channel ids", value),
            None if one.is_some() => {}
            None => match default {
                Some(id) => channels.push(id),
                None => self.fault(
                    "channel_id",
                    FaultCode::Required,
                    "is required, because the service has no DEFAULT_CHANNEL_ID",
                ),
            },
        }
        channels
    }

    fn channel_list(&mut self, values: &[Value], channels: &mut Vec<Snowflake>) {
        const NAME: &str = "channel_ids";
        if values.is_empty() {
            self.fault(NAME, FaultCode::TooShort, "must contain at least one channel id");
        }
        if values.len() > MAX_CHANNELS {
            let detail = format!("has {} channel ids; at most {MAX_CHANNELS} are allowed", values.len());
            return self.fault(NAME, FaultCode::TooLong, detail);
        }
        for (index, value) in values.iter().enumerate() {
            match channel(value) {
                Ok(id) if channels.contains(&id) => {}
                Ok(id) => channels.push(id),
                Err((code, detail)) => self.push(Fault::in_element(NAME, index, code, detail)),
            }
        }
    }

    pub(super) fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.string(name)?;
        parse_time(text).map_err(|(code, detail)| self.fault(name, code, detail)).ok()
    }

    pub(super) fn format(&mut self) {
        if self.string("format").is_some_and(|format| format != FORMAT) {
            self.fault(
                "format",
                FaultCode::UnsupportedFormat,
                format!("must be \"{FORMAT}\": the service cannot store other formats"),
            );
        }
    }

    pub(super) fn filter(&mut self) -> Option<String> {
        const NAME: &str = "filter";
        let text = self.string(NAME)?;
        if let Err((code, detail)) = check_text(text) {
            self.fault(NAME, code, detail);
        } else if let Err(error) = Filter::parse(text) {
            let fault = Fault::in_field(NAME, FaultCode::InvalidFilter, error.to_string());
            self.push(Fault { column: Some(error.column), ..fault });
        }
        Some(text.to_owned())
    }

    pub(super) fn on_conflict(&mut self) -> OnConflict {
        let Some(text) = self.string("on_conflict") else { return OnConflict::default() };
        OnConflict::parse(text).unwrap_or_else(|| {
            let [one, other] = OnConflict::NAMES;
            let detail = format!("must be \"{one}\" or \"{other}\"");
            self.fault("on_conflict", FaultCode::InvalidValue, detail);
            OnConflict::default()
        })
    }

    /// A field with one supported value and others reserved for later versions.
    pub(super) fn choice(&mut self, name: &str, works: &str, later: &[&str]) {
        let Some(text) = self.string(name) else { return };
        if later.contains(&text) {
            let detail = format!("\"{text}\" is not available yet: use \"{works}\"");
            self.fault(name, FaultCode::NotAvailable, detail);
        } else if text != works {
            self.fault(name, FaultCode::InvalidValue, format!("must be \"{works}\""));
        }
    }

    pub(super) fn refuse_unknown(&mut self) {
        for name in self.body.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            let detail = format!("is not a field of this request; its fields are {}", FIELDS.join(", "));
            self.fault(name, FaultCode::UnknownField, detail);
        }
    }
}

fn channel(value: &Value) -> Result<Snowflake, (FaultCode, String)> {
    match value {
        Value::String(text) => text.parse().map_err(|error| (FaultCode::InvalidId, format!("{error}"))),
        Value::Number(_) => Err((
            FaultCode::WrongType,
            "must be a string of digits, not a number: many JSON parsers round numbers of this size".into(),
        )),
        other => Err((FaultCode::WrongType, format!("must be a string of digits, not {}", kind(other)))),
    }
}

/// Checks what does not depend on the language of filters.
fn check_text(text: &str) -> Result<(), (FaultCode, String)> {
    if text.trim().is_empty() {
        return Err((FaultCode::TooShort, "must not be blank: omit it to export all messages".into()));
    }
    let length = text.chars().count();
    if length > MAX_FILTER_CHARS {
        let detail = format!("has {length} characters; at most {MAX_FILTER_CHARS} are allowed");
        return Err((FaultCode::TooLong, detail));
    }
    if text.chars().any(char::is_control) {
        return Err((
            FaultCode::ControlCharacter,
            "must not contain control characters or line breaks".into(),
        ));
    }
    Ok(())
}

/// The name of a JSON type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
