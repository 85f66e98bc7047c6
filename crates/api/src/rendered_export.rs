//! An export as clients receive it: body, ETag, links and polling interval.

use actix_web::web::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use dce_core::export::state::ExportStatus;
use dce_core::store::reading;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::wire::export::{Export, ExportLinks, ExportWithRuns};

/// Bytes of the hash in an ETag.
const ETAG_BYTES: usize = 8;
/// The polling interval grows by one second for each such step of the export's age.
const AGE_STEP: TimeDelta = TimeDelta::seconds(10);
/// Maximum polling interval, in seconds.
const MAX_INTERVAL: u32 = 5;

/// One state of an export, serialised.
#[derive(Debug, Clone)]
pub struct RenderedExport {
    /// JSON in one line.
    pub json: Bytes,
    /// The opaque part of a weak ETag: `{version}-{bytes_read}-{hash}`. The hash covers the whole body except the rate,
    /// which changes with time alone: while nothing happens, the ETag stays the same.
    pub etag: String,
    pub job_id: Uuid,
    pub status: ExportStatus,
    /// Grows with every change of state.
    pub version: i64,
    /// Grows with every batch.
    pub bytes_read: i64,
    /// Messages committed.
    pub message_count: i64,
    /// The code of what the export waits for.
    pub waiting: Option<&'static str>,
    /// Seconds after which a client should poll again; `None`: the export has ended and changes only on request.
    pub retry_after: Option<u32>,
}

impl RenderedExport {
    /// Serialises an export.
    ///
    /// # Errors
    /// Never for values from the database: all of them can be JSON.
    pub fn new(export: reading::export::ExportWithRuns) -> serde_json::Result<Self> {
        let read_at = export.row.read_at;
        let mut export = ExportWithRuns::from(export);
        let links = ExportLinks::new(&export);
        let rate = export.progress.messages_per_second.take();
        let mut body = Export { export, links };
        let hash = Sha256::digest(serde_json::to_vec(&body)?);
        body.export.progress.messages_per_second = rate;
        let json = serde_json::to_vec(&body)?.into();
        let export = body.export;
        // A constraint of the column excludes any other text.
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
            retry_after: (!status.is_final()).then(|| poll_interval(read_at - export.created_at)),
        })
    }
}

/// Old exports are long ones: polling them every second would return nothing new most of the time.
fn poll_interval(age: TimeDelta) -> u32 {
    let steps = age.num_seconds() / AGE_STEP.num_seconds();
    u32::try_from(steps).unwrap_or(0).clamp(1, MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polling_interval_grows_with_the_age() {
        let intervals = [-5, 0, 19, 20, 35, 50, 86_400].map(|age| poll_interval(TimeDelta::seconds(age)));
        assert_eq!(intervals, [1, 1, 1, 2, 3, 5, 5]);
    }
}
