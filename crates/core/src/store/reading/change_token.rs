//! Cheap change detection for clients that follow exports.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::export::state::ExportStatus;
use crate::store::{StoreError, repeated};

/// Values of an export, at least one of which differs after any change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeToken {
    pub job_id: Uuid,
    /// Rises with each change of state.
    pub version: i64,
    pub status: String,
    /// Bytes of DCE's output that the runs have read: rises with each batch.
    pub bytes_read: i64,
    pub message_count: i64,
    /// Whether a pending run is due.
    pub any_due: bool,
}

impl ChangeToken {
    /// Whether the export changes only on request.
    pub fn is_final(&self) -> bool {
        ExportStatus::parse(&self.status).is_some_and(ExportStatus::is_final)
    }
}

/// Reads the tokens of these exports, of those that exist, in one statement.
pub async fn read(pool: &PgPool, job_ids: &[Uuid]) -> Result<Vec<ChangeToken>, StoreError> {
    repeated(move || async move {
        let tokens = sqlx::query_as!(
            ChangeToken,
            r#"SELECT e.job_id, e.version, e.status, t.bytes_read AS "bytes_read!", t.message_count AS "message_count!",
                      t.any_due AS "any_due!"
                 FROM export_totals($1) t JOIN exports e USING (job_id)"#,
            job_ids
        )
        .fetch_all(pool)
        .await?;
        Ok(tokens)
    })
    .await
}
