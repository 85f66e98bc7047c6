//! Parts shared by cancel and retry.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::export::state::ExportStatus;
use crate::store::StoreError;

/// The outcome of a cancel or retry. A request for the state that the export is in already succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlOutcome {
    /// Done, or in that state already; with the status that the export has now.
    Now(ExportStatus),
    NotFound,
    /// The state forbids it: a cancel of an export that has completed or failed, a retry of one that has completed or
    /// goes on without a failure.
    Refused(ExportStatus),
    /// A retry of an import, which needs its files.
    IsImport,
}

/// The facts of an export that decide about a cancel or retry.
pub(super) struct ExportState {
    pub(super) status: ExportStatus,
    pub(super) cancel_requested: bool,
}

/// Locks an export. `None`: there is no such export.
pub(super) async fn lock_export(
    connection: &mut PgConnection,
    job_id: Uuid,
) -> Result<Option<ExportState>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT status, cancel_requested_at IS NOT NULL AS "cancel_requested!"
             FROM exports WHERE job_id = $1 FOR NO KEY UPDATE"#,
        job_id
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let status = ExportStatus::parse(&row.status)
        .ok_or(StoreError::Unexpected { statement: "read status", touched: 1 })?;
    Ok(Some(ExportState { status, cancel_requested: row.cancel_requested }))
}

/// The outcome of a request that finds nothing to do. An earlier try of the same request may have committed although its
/// answer was lost: then it is no refusal.
pub(super) fn nothing_to_do(status: ExportStatus, may_have_committed: &AtomicBool) -> ControlOutcome {
    if may_have_committed.load(Ordering::Relaxed) {
        ControlOutcome::Now(status)
    } else {
        ControlOutcome::Refused(status)
    }
}
