//! Parts shared by prune and purge: the deletion of versions and the update of counts, in the transaction that deletes
//! messages. Locks messages, then channels, as batches do.

use std::ops::AddAssign;

use sqlx::postgres::PgConnection;

use crate::ids::Snowflake;
use crate::store::StoreError;

/// Maximum number of messages that a transaction deletes: some tens of milliseconds.
pub(super) const BATCH_SIZE: i64 = 2000;

/// Numbers of rows that were deleted, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedRows {
    pub messages: u64,
    pub versions: u64,
}

impl AddAssign for DeletedRows {
    fn add_assign(&mut self, more: Self) {
        self.messages += more.messages;
        self.versions += more.versions;
    }
}

/// Whether a run is running: a large deletion then slows down.
pub async fn is_ingesting(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let running = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM export_channels WHERE status = 'running') AS "running!""#
    );
    Ok(running.fetch_one(connection).await?)
}

/// The channels that have messages, by one probe of the primary key for each.
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
pub(super) async fn channels_or_all(
    connection: &mut PgConnection,
    only: Option<Snowflake>,
) -> Result<Vec<String>, StoreError> {
    match only {
        Some(channel) => Ok(vec![channel.to_string()]),
        None => channels(connection).await,
    }
}

/// Deletes the versions of deleted messages of a channel and updates its count. The versions need a statement of their
/// own: an update that the deletion waited for may have added some.
pub(super) async fn delete_versions(
    connection: &mut PgConnection,
    channel: &str,
    messages: &[String],
) -> Result<DeletedRows, StoreError> {
    if messages.is_empty() {
        return Ok(DeletedRows::default());
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
    Ok(DeletedRows { messages: deleted.unsigned_abs(), versions: versions.rows_affected() })
}
