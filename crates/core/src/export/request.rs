//! The body of `POST /exports`, parsed into what it asks for or into everything that is wrong with it.

mod channel_rules;
mod fault;
#[cfg(test)]
mod tests;
mod time;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

pub use channel_rules::{AllowedChannels, ChannelRules, NotAChannelList};
pub use fault::{Fault, FaultCode, Place};
pub use time::{parse_exact_time, parse_time};

use super::conflict::OnConflict;
use crate::ids::Snowflake;

/// Channels that one export may name.
pub const MAX_CHANNELS: usize = 500;
/// Characters of a filter.
pub const MAX_FILTER_CHARS: usize = 1000;
/// Mistakes that are listed; a body of nonsense would otherwise get an answer many times its size.
const MAX_FAULTS: usize = 100;

/// The only format that can be ingested.
pub const FORMAT: &str = "Json";

/// Every field of the body.
const FIELDS: [&str; 12] = [
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

/// An export that can be created as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// 1 to [`MAX_CHANNELS`] channels or threads, in the order named, each once.
    pub channels: Vec<Snowflake>,
    /// Only messages from this moment on (whole milliseconds).
    pub start_at: Option<DateTime<Utc>>,
    /// Only messages before this moment (whole milliseconds), which lies after `start_at`.
    pub end_at: Option<DateTime<Utc>>,
    /// Whether DCE replaces mentions and markup by readable text.
    pub markdown: bool,
    /// A filter in DCE's language; never something that DCE would take for an option.
    pub filter: Option<String>,
    /// What becomes of messages that are archived already.
    pub on_conflict: OnConflict,
    /// Whether what an update replaces is kept; only with [`OnConflict::Update`].
    pub keep_versions: bool,
}

impl ExportRequest {
    /// Reads the body's fields; `null` is the same as absent. Channels named twice count once, because a list put
    /// together from several sources means the same. `default_channel` is exported when none is named.
    ///
    /// # Errors
    /// Every mistake of the body, never none (the first hundred of more).
    pub fn parse(body: &Map<String, Value>, default_channel: Option<Snowflake>) -> Result<Self, Vec<Fault>> {
        let mut reader = Reader { body, faults: Vec::new() };
        let request = Self {
            channels: reader.channels(default_channel),
            start_at: reader.time("start_at"),
            end_at: reader.time("end_at"),
            markdown: reader.boolean("markdown"),
            filter: reader.filter(),
            on_conflict: reader.on_conflict(),
            keep_versions: reader.boolean("keep_versions"),
        };
        if let (Some(start), Some(end)) = (request.start_at, request.end_at)
            && start >= end
        {
            reader.fault("end_at", FaultCode::OutOfRange, "must be later than start_at");
        }
        reader.format();
        if reader.boolean("media") {
            reader.fault(
                "media",
                FaultCode::NotAvailable,
                "downloading media is not available yet: use false",
            );
        }
        reader.choice("include_threads", "none", &["active", "all"]);
        if request.keep_versions && request.on_conflict == OnConflict::Ignore {
            reader.fault(
                "keep_versions",
                FaultCode::Conflict,
                "needs \"on_conflict\": \"update\": without it nothing is replaced",
            );
        }
        if reader.value("callback_url").is_some() {
            reader.fault(
                "callback_url",
                FaultCode::NotAvailable,
                "callbacks are not available yet: poll GET /exports/{job_id} instead",
            );
        }
        reader.refuse_unknown();
        if reader.faults.is_empty() { Ok(request) } else { Err(reader.faults) }
    }

    /// What the worker needs besides channels and times, as stored in `exports.options`.
    pub fn options(&self) -> Value {
        json!({
            "markdown": self.markdown,
            "filter": self.filter,
            "on_conflict": self.on_conflict,
            "keep_versions": self.keep_versions,
        })
    }
}

/// Walks the body and notes what is wrong instead of stopping at it.
struct Reader<'a> {
    body: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn value(&self, name: &str) -> Option<&'a Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    fn note(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    fn fault(&mut self, name: &str, code: FaultCode, detail: impl Into<String>) {
        self.note(Fault::in_field(name, code, detail));
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

    fn boolean(&mut self, name: &str) -> bool {
        let Some(value) = self.value(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong_type(name, "true or false", value);
            false
        })
    }

    fn channels(&mut self, default: Option<Snowflake>) -> Vec<Snowflake> {
        let (one, many) = (self.value("channel_id"), self.value("channel_ids"));
        if one.is_some() && many.is_some() {
            self.fault(
                "channel_ids",
                FaultCode::Conflict,
                "cannot be combined with channel_id: name one of them",
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
                    "name a channel: the service has no DEFAULT_CHANNEL_ID",
                ),
            },
        }
        channels
    }

    fn channel_list(&mut self, values: &[Value], channels: &mut Vec<Snowflake>) {
        const NAME: &str = "channel_ids";
        if values.is_empty() {
            self.fault(NAME, FaultCode::TooShort, "must name at least one channel");
        }
        if values.len() > MAX_CHANNELS {
            let detail = format!("names {} channels; at most {MAX_CHANNELS} are allowed", values.len());
            return self.fault(NAME, FaultCode::TooLong, detail);
        }
        for (index, value) in values.iter().enumerate() {
            match channel(value) {
                Ok(id) if channels.contains(&id) => {}
                Ok(id) => channels.push(id),
                Err((code, detail)) => self.note(Fault::in_element(NAME, index, code, detail)),
            }
        }
    }

    fn time(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let text = self.string(name)?;
        parse_time(text).map_err(|(code, detail)| self.fault(name, code, detail)).ok()
    }

    fn format(&mut self) {
        if self.string("format").is_some_and(|format| format != FORMAT) {
            self.fault(
                "format",
                FaultCode::UnsupportedFormat,
                format!("must be \"{FORMAT}\": other formats cannot be brought into the database"),
            );
        }
    }

    fn filter(&mut self) -> Option<String> {
        let text = self.string("filter")?;
        if let Err((code, detail)) = check_filter(text) {
            self.fault("filter", code, detail);
        }
        Some(text.to_owned())
    }

    fn on_conflict(&mut self) -> OnConflict {
        let Some(text) = self.string("on_conflict") else { return OnConflict::default() };
        OnConflict::parse(text).unwrap_or_else(|| {
            let [one, other] = OnConflict::NAMES;
            let detail = format!("must be \"{one}\" or \"{other}\"");
            self.fault("on_conflict", FaultCode::InvalidValue, detail);
            OnConflict::default()
        })
    }

    /// A field with one value that works and others that later versions will know.
    fn choice(&mut self, name: &str, works: &str, later: &[&str]) {
        let Some(text) = self.string(name) else { return };
        if later.contains(&text) {
            let detail = format!("\"{text}\" is not available yet: use \"{works}\"");
            self.fault(name, FaultCode::NotAvailable, detail);
        } else if text != works {
            self.fault(name, FaultCode::InvalidValue, format!("must be \"{works}\""));
        }
    }

    fn refuse_unknown(&mut self) {
        for name in self.body.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            let detail = format!("is no field of an export; the fields are {}", FIELDS.join(", "));
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

fn check_filter(text: &str) -> Result<(), (FaultCode, String)> {
    if text.trim().is_empty() {
        return Err((FaultCode::TooShort, "must not be blank: leave it out to export every message".into()));
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
    // DCE 2.47 takes every argument that begins like this for an option, wherever it stands (docs/dce.md).
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'));
    if name.is_some_and(|name| name.starts_with(char::is_alphabetic)) {
        return Err((
            FaultCode::LooksLikeOption,
            "must not begin like an option: write ~ instead of - to negate, such as ~from:bot".into(),
        ));
    }
    Ok(())
}

/// What a JSON value is, in words.
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
