//! The body of `POST /exports`, parsed into a request or into all its mistakes.

mod channel_rules;
mod fault;
mod fields;
#[cfg(test)]
mod tests;
mod time;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

pub use channel_rules::{AllowedChannels, ChannelRules, NotAChannelList};
pub use fault::{Fault, FaultCode, Location};
use fields::Fields;
pub use fields::{FORMAT, MAX_CHANNELS, MAX_FILTER_CHARS};
pub use time::{parse_exact_time, parse_time};

use super::conflict::OnConflict;
use crate::ids::Snowflake;

/// A valid request for an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// 1 to [`MAX_CHANNELS`] channels or threads, in the order of the request, each once.
    pub channels: Vec<Snowflake>,
    /// Inclusive, in whole milliseconds.
    pub start_at: Option<DateTime<Utc>>,
    /// Exclusive, in whole milliseconds; later than `start_at`.
    pub end_at: Option<DateTime<Utc>>,
    /// Whether DCE replaces mentions and markup by readable text.
    pub markdown: bool,
    /// In DCE's language; [`dce_filter::Filter`] can parse it.
    pub filter: Option<String>,
    pub on_conflict: OnConflict,
    /// Whether an update keeps the version that it replaces; only with [`OnConflict::Update`].
    pub keep_versions: bool,
}

impl ExportRequest {
    /// Parses the body; `null` is the same as absent. A channel that is named twice counts once, because a list from
    /// several sources may repeat it. A request without a channel exports `default_channel`.
    ///
    /// # Errors
    /// All mistakes of the body, at least one (the first hundred of more).
    pub fn parse(body: &Map<String, Value>, default_channel: Option<Snowflake>) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::new(body);
        let request = Self {
            channels: fields.channels(default_channel),
            start_at: fields.time("start_at"),
            end_at: fields.time("end_at"),
            markdown: fields.boolean("markdown"),
            filter: fields.filter(),
            on_conflict: fields.on_conflict(),
            keep_versions: fields.boolean("keep_versions"),
        };
        if let (Some(start), Some(end)) = (request.start_at, request.end_at)
            && start >= end
        {
            fields.fault("end_at", FaultCode::OutOfRange, "must be later than start_at");
        }
        fields.format();
        if fields.boolean("media") {
            fields.fault(
                "media",
                FaultCode::NotAvailable,
                "downloading media is not available yet: use false",
            );
        }
        fields.choice("include_threads", "none", &["active", "all"]);
        if request.keep_versions && request.on_conflict == OnConflict::Ignore {
            fields.fault(
                "keep_versions",
                FaultCode::Conflict,
                "requires \"on_conflict\": \"update\": otherwise no message is replaced",
            );
        }
        if fields.value("callback_url").is_some() {
            fields.fault(
                "callback_url",
                FaultCode::NotAvailable,
                "callbacks are not available yet: poll GET /exports/{job_id} instead",
            );
        }
        fields.refuse_unknown();
        fields.finish(request)
    }

    /// The part for the worker besides channels and times, as stored in `exports.options`.
    pub fn options(&self) -> Value {
        json!({
            "markdown": self.markdown,
            "filter": self.filter,
            "on_conflict": self.on_conflict,
            "keep_versions": self.keep_versions,
        })
    }
}
