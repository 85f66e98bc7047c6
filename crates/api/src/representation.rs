//! An export as clients get it: the body, the ETag that changes with it, what can be done next, and when to look again.

use actix_web::web::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use dce_core::export::state::ExportStatus;
use dce_core::store::reading::export;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::wire::export::ExportWithRuns;

/// Bytes of the hash that an ETag has.
const ETAG_BYTES: usize = 8;
/// A client is asked to wait a second for each of these that the export is old.
const AGE_STEP: TimeDelta = TimeDelta::seconds(10);
/// But no longer than so many seconds.
const LONGEST_WAIT: u32 = 5;

/// An export with its runs, and where to go from here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Export {
    /// The export.
    #[serde(flatten)]
    pub export: ExportWithRuns,
    /// Where to go from here.
    pub links: ExportLinks,
}

/// Paths of what belongs to an export. What makes no sense in its state is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExportLinks {
    /// The export itself.
    #[serde(rename = "self")]
    pub itself: String,
    /// Its changes, live.
    pub events: String,
    /// What it archived.
    pub messages: String,
    /// POST ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<String>,
    /// POST starts what failed or was cancelled again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
}

impl ExportLinks {
    fn of(export: &export::ExportWithRuns) -> Self {
        let itself = format!("/exports/{}", export.job_id);
        let is_final = ExportStatus::parse(&export.status).is_some_and(ExportStatus::is_final);
        let cancelling = !is_final && export.cancel_requested_at.is_some();
        let ended = |status: &str| matches!(status, "failed" | "cancelled");
        let is_import = export.runs.iter().any(|run| run.kind == "import");
        let has_ended = export.runs.iter().any(|run| ended(&run.status));
        let retry = !is_import && (cancelling || has_ended);
        Self {
            events: format!("{itself}/events"),
            messages: format!("{itself}/messages"),
            cancel: (!is_final && !cancelling).then(|| format!("{itself}/cancel")),
            retry: retry.then(|| format!("{itself}/retry")),
            itself,
        }
    }
}

/// One state of an export, ready to be sent.
#[derive(Debug, Clone)]
pub struct Representation {
    /// JSON in one line.
    pub json: Bytes,
    /// The opaque part of a weak ETag: `{version}-{bytes_read}-{hash}`. The hash is of the whole body but the rate, which
    /// changes with the time: while nothing happens the ETag stays.
    pub etag: String,
    /// Its id.
    pub job_id: Uuid,
    /// Where it stands.
    pub status: ExportStatus,
    /// Rises with every change of state.
    pub version: i64,
    /// Rises with every batch.
    pub bytes_read: i64,
    /// Messages committed.
    pub message_count: i64,
    /// The code of what it waits for.
    pub waiting: Option<&'static str>,
    /// Seconds after which a client may look again; `None`: nothing will change unless someone asks.
    pub retry_after: Option<u32>,
}

impl Representation {
    /// Of this export.
    ///
    /// # Errors
    /// Never for what the database stores: all of it can be JSON.
    pub fn of(export: export::ExportWithRuns) -> serde_json::Result<Self> {
        let links = ExportLinks::of(&export);
        let read_at = export.read_at;
        let mut export = ExportWithRuns::from(export);
        let rate = export.progress.messages_per_second.take();
        let mut whole = Export { export, links };
        let hash = Sha256::digest(serde_json::to_vec(&whole)?);
        whole.export.progress.messages_per_second = rate;
        let json = serde_json::to_vec(&whole)?.into();
        let export = whole.export;
        // The column takes no other word.
        let status = ExportStatus::parse(&export.status).unwrap_or(ExportStatus::Pending);
        let hash = URL_SAFE_NO_PAD.encode(&hash[..ETAG_BYTES]);
        Ok(Self {
            json,
            etag: format!("{}-{}-{hash}", export.version, export.bytes_read),
            job_id: export.job_id,
            status,
            version: export.version,
            bytes_read: export.bytes_read,
            message_count: export.message_count,
            waiting: export.waiting.map(|blocker| blocker.code),
            retry_after: (!status.is_final()).then(|| wait(read_at - export.created_at)),
        })
    }
}

/// What is old takes long: a client that asks once a second sees nothing new most of the time.
fn wait(age: TimeDelta) -> u32 {
    let steps = age.num_seconds() / AGE_STEP.num_seconds();
    u32::try_from(steps).unwrap_or(0).clamp(1, LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_two_looks_grows_with_the_age() {
        let waits = [-5, 0, 19, 20, 35, 50, 86_400].map(|age| wait(TimeDelta::seconds(age)));
        assert_eq!(waits, [1, 1, 1, 2, 3, 5, 5]);
    }
}
