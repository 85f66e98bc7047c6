//! What pruning and erasing have in common: what goes with messages that are deleted, in the transaction that deletes
//! them. Locks messages, then channels, as batches do.

use std::ops::AddAssign;

use sqlx::postgres::PgConnection;

use super::StoreError;
use crate::ids::Snowflake;

/// Messages that a transaction deletes at most: some tens of milliseconds.
pub(super) const CHUNK: i64 = 2000;

/// Rows that were deleted, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Messages.
    pub messages: u64,
    /// What they were before updates.
    pub versions: u64,
}

impl AddAssign for Removed {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.versions += more.versions;
    }
}

/// Whether any run is running: whoever deletes much then takes its time.
pub async fn is_ingesting(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let running = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM export_channels WHERE status = 'running') AS "running!""#
    );
    Ok(running.fetch_one(connection).await?)
}

/// The channels that have messages, one probe of the key for each.
pub(super) async fn channels(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let channels = sqlx::query_scalar!(
        r#"WITH RECURSIVE c AS (
             (SELECT channel_id FROM messages ORDER BY channel_id LIMIT 1)
              UNION ALL
             SELECT (SELECT m.channel_id FROM messages m WHERE m.channel_id > c.channel_id ORDER BY m.channel_id LIMIT 1)
               FROM c WHERE c.channel_id IS NOT NULL)
           SELECT channel_id AS "channel_id!" FROM c WHERE channel_id IS NOT NULL"#
    )
    .fetch_all(connection)
    .await?;
    Ok(channels)
}

/// `only`, or all channels that have messages.
pub(super) async fn channels_or(
    connection: &mut PgConnection,
    only: Option<Snowflake>,
) -> Result<Vec<String>, StoreError> {
    match only {
        Some(channel) => Ok(vec![channel.to_string()]),
        None => channels(connection).await,
    }
}

/// After these messages of a channel were deleted. A statement of its own for their versions: an update that the deletion
/// waited for may have added some.
pub(super) async fn settle(
    connection: &mut PgConnection,
    channel: &str,
    messages: &[String],
) -> Result<Removed, StoreError> {
    if messages.is_empty() {
        return Ok(Removed::default());
    }
    let versions = sqlx::query!(
        "DELETE FROM message_versions v USING unnest($2::text[]) AS m (message_id)
          WHERE v.channel_id = $1 AND v.message_id = m.message_id",
        channel,
        messages
    )
    .execute(&mut *connection)
    .await?;
    let deleted = i64::try_from(messages.len()).unwrap_or(i64::MAX);
    sqlx::query!(
        "UPDATE channels SET archived_count = archived_count - $2, updated_at = clock_timestamp() WHERE channel_id = $1",
        channel,
        deleted
    )
    .execute(connection)
    .await?;
    Ok(Removed { messages: deleted.unsigned_abs(), versions: versions.rows_affected() })
}
