//! The little of an export that tells whether anything about it has changed: for whoever looks at many again and again.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::{StoreError, repeated};
use crate::export::state::ExportStatus;

/// What changes with an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// Its id.
    pub job_id: Uuid,
    /// Rises with every change of state.
    pub version: i64,
    /// Where it stands.
    pub status: String,
    /// Bytes of DCE's output that its runs have read: rises with every batch.
    pub bytes_read: i64,
    /// Messages that they have committed.
    pub message_count: i64,
    /// Whether a pending run's time has come.
    pub any_due: bool,
}

impl Pulse {
    /// Whether nothing happens to it any more unless someone asks.
    pub fn is_final(&self) -> bool {
        ExportStatus::parse(&self.status).is_some_and(ExportStatus::is_final)
    }
}

/// Of each of these exports that is there, in one statement.
pub async fn of(pool: &PgPool, job_ids: &[Uuid]) -> Result<Vec<Pulse>, StoreError> {
    repeated(move || async move {
        let pulses = sqlx::query_as!(
            Pulse,
            r#"SELECT e.job_id, e.version, e.status, t.bytes_read AS "bytes_read!", t.message_count AS "message_count!",
                      t.any_due AS "any_due!"
                 FROM export_totals($1) t JOIN exports e USING (job_id)"#,
            job_ids
        )
        .fetch_all(pool)
        .await?;
        Ok(pulses)
    })
    .await
}
