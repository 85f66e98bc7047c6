//! Erasure of messages with their versions. There is no index on authors, which each export would have to maintain: a
//! purge scans the primary key.

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::batched_deletion::{BATCH_SIZE, DeletedRows, channels, channels_or_all, delete_versions};
use super::erasures::Subject;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// Greater than any id, as text.
const ABOVE_ALL_IDS: &str = "99999999999999999999";

/// The extent of an erasure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeCount {
    pub rows: DeletedRows,
    /// Number of channels that have such messages.
    pub channels: u64,
}

impl Subject {
    const fn channel(self) -> Option<Snowflake> {
        if let Self::Channel(id) = self { Some(id) } else { None }
    }

    fn author(self) -> Option<String> {
        if let Self::Author(id) = self { Some(id.to_string()) } else { None }
    }

    fn message(self) -> Option<String> {
        if let Self::Message(id) = self { Some(id.to_string()) } else { None }
    }
}

/// Counts the rows that an erasure would delete now.
pub async fn count(connection: &mut PgConnection, subject: Subject) -> Result<PurgeCount, StoreError> {
    let found = sqlx::query!(
        r#"SELECT count(*) AS "messages!", count(DISTINCT channel_id) AS "channels!" FROM messages
            WHERE channel_id = ANY ($1) AND ($2::text IS NULL OR author_id = $2) AND ($3::text IS NULL OR message_id = $3)"#,
        &channels_or_all(connection, subject.channel()).await?,
        subject.author(),
        subject.message()
    )
    .fetch_one(&mut *connection)
    .await?;
    let versions = sqlx::query_scalar!(
        r#"SELECT count(*) AS "versions!" FROM message_versions
            WHERE $2 = CASE $1 WHEN 'author' THEN raw #>> '{author,id}' WHEN 'channel' THEN channel_id ELSE message_id END"#,
        subject.kind(),
        subject.id().to_string()
    )
    .fetch_one(connection)
    .await?;
    let [messages, versions, channels] = [found.messages, versions, found.channels].map(i64::unsigned_abs);
    Ok(PurgeCount { rows: DeletedRows { messages, versions }, channels })
}

/// An erasure under way. A new one for the same subject deletes the rest.
#[derive(Debug)]
pub struct Purge {
    subject: Subject,
    /// Channels still to purge, the present one last.
    channels: Vec<String>,
    /// Id up to which the present channel is purged.
    after: String,
    versions_are_left: bool,
}

impl Purge {
    /// Purges the messages archived now. The erasure must be recorded, and the batches under way must have ended.
    pub async fn begin(connection: &mut PgConnection, subject: Subject) -> Result<Self, StoreError> {
        let channels = match subject {
            Subject::Message(id) => channels_with_message(connection, id).await?,
            _ => channels_or_all(connection, subject.channel()).await?,
        };
        Ok(Self { subject, channels, after: String::new(), versions_are_left: true })
    }

    /// Deletes a batch, in a transaction. `None`: none is left. May be called again after an error.
    pub async fn next(&mut self, connection: &mut PgConnection) -> Result<Option<DeletedRows>, StoreError> {
        let Some(channel) = self.channels.last() else { return self.next_versions(connection).await };
        let mut tx = connection.begin().await?;
        let (after, end) = match self.subject {
            Subject::Message(id) => (String::new(), Some(id.to_string())),
            _ => (self.after.clone(), end_of_batch(&mut tx, channel, &self.after).await?),
        };
        let deleted = sqlx::query_scalar!(
            "DELETE FROM messages
              WHERE channel_id = $1 AND message_id > $2 AND message_id <= $3
                AND ($4::text IS NULL OR author_id = $4) AND ($5::text IS NULL OR message_id = $5)
             RETURNING message_id",
            channel,
            after,
            end.as_deref().unwrap_or(ABOVE_ALL_IDS),
            self.subject.author(),
            self.subject.message()
        )
        .fetch_all(&mut *tx)
        .await?;
        let removed = delete_versions(&mut tx, channel, &deleted).await?;
        tx.commit().await?;
        match end {
            Some(end) if self.subject.message().is_none() => self.after = end,
            _ => {
                self.channels.pop();
                self.after.clear();
            }
        }
        Ok(Some(removed))
    }

    /// Deletes versions of messages that another process has deleted.
    async fn next_versions(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Option<DeletedRows>, StoreError> {
        if !self.versions_are_left {
            return Ok(None);
        }
        // Versions are never updated: a row keeps its ctid.
        let deleted = sqlx::query!(
            "DELETE FROM message_versions WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM message_versions
                 WHERE $2 = CASE $1 WHEN 'author' THEN raw #>> '{author,id}' WHEN 'channel' THEN channel_id ELSE message_id END
                 LIMIT $3))",
            self.subject.kind(),
            self.subject.id().to_string(),
            BATCH_SIZE
        )
        .execute(connection)
        .await?;
        let versions = deleted.rows_affected();
        self.versions_are_left = versions > 0;
        Ok(Some(DeletedRows { messages: 0, versions }))
    }
}

/// The last id of the next batch of a channel; `None`: the last batch.
async fn end_of_batch(
    connection: &mut PgConnection,
    channel: &str,
    after: &str,
) -> Result<Option<String>, StoreError> {
    let end = sqlx::query_scalar!(
        "SELECT message_id FROM messages WHERE channel_id = $1 AND message_id > $2
          ORDER BY message_id OFFSET $3 LIMIT 1",
        channel,
        after,
        BATCH_SIZE - 1
    )
    .fetch_optional(connection)
    .await?;
    Ok(end)
}

async fn channels_with_message(
    connection: &mut PgConnection,
    id: Snowflake,
) -> Result<Vec<String>, StoreError> {
    let channels = sqlx::query_scalar!(
        "SELECT channel_id FROM messages WHERE channel_id = ANY ($1) AND message_id = $2",
        &channels(connection).await?,
        id.to_string()
    )
    .fetch_all(connection)
    .await?;
    Ok(channels)
}
