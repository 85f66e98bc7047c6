//! The checkpoint of an attempt: counters and the cursor, from which the next attempt resumes.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;

use super::fence::Fence;
use crate::export::admission::LEASE;
use crate::export::warnings::Counters;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// The progress of an attempt, written in the transaction that writes its messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to this message is committed. Set with the counts, so that both always describe the same state.
    pub cursor: Option<Snowflake>,
    /// The lowest id that this attempt has read and not dropped.
    pub first: Option<Snowflake>,
    /// The highest one.
    pub last: Option<Snowflake>,
    /// When the newest message was sent.
    pub newest_at: Option<DateTime<Utc>>,
    /// Messages below the cursor, over all attempts: set.
    pub message_count: i64,
    /// Repaired ones among them: set.
    pub repaired_count: i64,
    /// Messages below the cursor that the filter has dropped, over all attempts: set.
    pub filtered_count: i64,
    /// The counters behind their warnings: set.
    pub counters: Counters,
    /// Bytes read over all attempts: set.
    pub bytes_read: i64,
    /// Rows that this transaction inserted: added.
    pub inserted: i64,
    /// Rows that it replaced: added.
    pub updated: i64,
}

/// Writes a checkpoint: the last statement before the COMMIT of each batch. Fails if the fence no longer holds, so that
/// the batch is not committed. Renews the lease too.
pub async fn checkpoint(ingest: &mut PgConnection, fence: &Fence, at: &Checkpoint) -> Result<(), StoreError> {
    let text = |id: Option<Snowflake>| id.map(|id| id.to_string());
    let written = sqlx::query!(
        "UPDATE export_channels
            SET cursor_message_id = $4,
                first_message_id = least(first_message_id::numeric, $5::text::numeric)::text,
                last_message_id = greatest(last_message_id::numeric, $6::text::numeric)::text,
                newest_at = greatest(newest_at, $7),
                message_count = $8, repaired_count = $9, bytes_read = $10, inserted_count = inserted_count + $11,
                updated_count = updated_count + $12, warnings = $13, filtered_count = $14,
                lease_expires_at = clock_timestamp() + make_interval(secs => $15)
          WHERE id = $1 AND attempt = $2 AND lease_owner = $3 AND status = 'running'",
        fence.run_id,
        fence.attempt,
        fence.worker,
        text(at.cursor),
        text(at.first),
        text(at.last),
        at.newest_at,
        at.message_count,
        at.repaired_count,
        at.bytes_read,
        at.inserted,
        at.updated,
        at.counters.warnings(at.repaired_count.unsigned_abs()),
        at.filtered_count,
        LEASE.as_secs_f64(),
    )
    .execute(ingest)
    .await?;
    if written.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Lost) }
}
