//! Encodes events for `text/event-stream`.

use std::fmt;
use std::str::FromStr;

use actix_web::web::Bytes;
use dce_core::export::state::ExportStatus;
use serde_json::json;
use uuid::Uuid;

use crate::rendered_export::RenderedExport;

/// Milliseconds after which a client reconnects when its stream has ended.
const RETRY_MS: u32 = 2000;

/// The id of an event: `{version}-{bytes_read}`. Within one stream, ids only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    pub version: i64,
    /// Sum over the export's runs.
    pub bytes_read: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an event id: {{version}}-{{bytes_read}}")]
pub struct InvalidEventId;

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.bytes_read)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let (version, bytes_read) = text.split_once('-').ok_or(InvalidEventId)?;
        let number = |digits: &str| digits.parse().map_err(|_| InvalidEventId);
        Ok(Self { version: number(version)?, bytes_read: number(bytes_read)? })
    }
}

/// Encodes the current state of an export: an event without its id, shared by all clients.
pub(super) fn snapshot(export: &RenderedExport) -> Bytes {
    [b"event: snapshot\ndata: ", &export.json[..], b"\n\n"].concat().into()
}

/// Encodes a past state that no snapshot shows: an event without its id.
pub(super) fn state(job_id: Uuid, version: i64, status: ExportStatus) -> Bytes {
    let data = json!({ "job_id": job_id, "version": version, "status": status.as_str() });
    format!("event: state\ndata: {data}\n\n").into()
}

/// The line before an event that carries its id.
pub(super) fn id(id: EventId) -> Bytes {
    format!("id: {id}\n").into()
}

/// The first line of every stream.
pub(super) fn opening() -> Bytes {
    format!("retry: {RETRY_MS}\n").into()
}

/// A comment that keeps an idle connection open.
pub(super) const PING: Bytes = Bytes::from_static(b": ping\n\n");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_by_version_then_bytes_and_parse_back() {
        let id = |version, bytes_read| EventId { version, bytes_read };
        assert!(id(2, 900) < id(3, 0) && id(3, 0) < id(3, 1) && id(9, 0) < id(10, 0));
        assert_eq!(id(12, 345).to_string().parse(), Ok(id(12, 345)));
        for text in ["", "7", "7-", "-7", "a-1", "1-b", "1-2-3", "99999999999999999999-1"] {
            assert_eq!(text.parse::<EventId>(), Err(InvalidEventId), "{text}");
        }
    }

    #[test]
    fn a_state_is_one_line_of_json() {
        let event = state(Uuid::nil(), 4, ExportStatus::Running);
        let expected = "event: state\ndata: {\"job_id\":\"00000000-0000-0000-0000-000000000000\",\
                        \"status\":\"running\",\"version\":4}\n\n";
        assert_eq!(event, expected);
    }
}
