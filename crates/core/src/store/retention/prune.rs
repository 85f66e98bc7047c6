//! Deletion of old messages and exports. A later export may archive the same messages again.

use std::ops::AddAssign;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::batched_deletion::{BATCH_SIZE, DeletedRows, channels_or_all, delete_versions};
use crate::ids::Snowflake;
use crate::store::StoreError;

/// Exports deleted in one transaction; each may have hundreds of runs.
const EXPORT_BATCH_SIZE: i64 = 20;

/// The time `age` ago, by the database's clock.
pub async fn time_ago(connection: &mut PgConnection, age: Duration) -> Result<DateTime<Utc>, StoreError> {
    let time = sqlx::query_scalar!(
        r#"SELECT clock_timestamp() - make_interval(secs => $1) AS "moment!""#,
        age.as_secs_f64()
    );
    Ok(time.fetch_one(connection).await?)
}

/// Counts the messages of a channel, or of all, that were sent before a time, and their versions.
pub async fn count_messages(
    connection: &mut PgConnection,
    channel: Option<Snowflake>,
    before: DateTime<Utc>,
) -> Result<DeletedRows, StoreError> {
    let channels = channels_or_all(connection, channel).await?;
    let found = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM messages WHERE channel_id = ANY ($1) AND "timestamp" < $2) AS "messages!",
                  (SELECT count(*) FROM message_versions v JOIN messages m USING (channel_id, message_id)
                    WHERE m.channel_id = ANY ($1) AND m."timestamp" < $2) AS "versions!""#,
        &channels,
        before
    )
    .fetch_one(connection)
    .await?;
    Ok(DeletedRows { messages: found.messages.unsigned_abs(), versions: found.versions.unsigned_abs() })
}

/// A pruning of messages under way, the oldest of each channel first.
#[derive(Debug)]
pub struct MessagePruning {
    before: DateTime<Utc>,
    /// Channels still to prune, the present one last.
    channels: Vec<String>,
    /// Time up to which the present channel is pruned, so that dead index entries are not scanned again.
    from: Option<DateTime<Utc>>,
}

impl MessagePruning {
    /// Prunes the messages of a channel, or of all, that were sent before a time.
    pub async fn begin(
        connection: &mut PgConnection,
        channel: Option<Snowflake>,
        before: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        Ok(Self { before, channels: channels_or_all(connection, channel).await?, from: None })
    }

    /// Deletes a batch, in a transaction. `None`: none is left. May be called again after an error.
    pub async fn next(&mut self, connection: &mut PgConnection) -> Result<Option<DeletedRows>, StoreError> {
        let Some(channel) = self.channels.last() else { return Ok(None) };
        let mut tx = connection.begin().await?;
        let end = end_of_batch(&mut tx, channel, self.from, self.before).await?;
        let deleted = sqlx::query_scalar!(
            r#"DELETE FROM messages
                WHERE channel_id = $1 AND "timestamp" >= coalesce($2::timestamptz, '-infinity')
                  AND "timestamp" < $3 AND "timestamp" <= coalesce($4::timestamptz, 'infinity')
               RETURNING message_id"#,
            channel,
            self.from,
            self.before,
            end
        )
        .fetch_all(&mut *tx)
        .await?;
        let removed = delete_versions(&mut tx, channel, &deleted).await?;
        tx.commit().await?;
        self.from = end;
        if end.is_none() {
            self.channels.pop();
        }
        Ok(Some(removed))
    }
}

/// Time of the last message of the next batch; all messages of that time belong to the batch. `None`: the last batch.
async fn end_of_batch(
    connection: &mut PgConnection,
    channel: &str,
    from: Option<DateTime<Utc>>,
    before: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let end = sqlx::query_scalar!(
        r#"SELECT "timestamp" FROM messages
            WHERE channel_id = $1 AND "timestamp" >= coalesce($2::timestamptz, '-infinity') AND "timestamp" < $3
            ORDER BY "timestamp" OFFSET $4 LIMIT 1"#,
        channel,
        from,
        before,
        BATCH_SIZE - 1
    )
    .fetch_optional(connection)
    .await?;
    Ok(end)
}

/// Numbers of exports that were deleted, or would be, with their rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedExports {
    pub exports: u64,
    pub runs: u64,
    pub attempts: u64,
}

impl AddAssign for DeletedExports {
    fn add_assign(&mut self, more: Self) {
        self.exports += more.exports;
        self.runs += more.runs;
        self.attempts += more.attempts;
    }
}

/// Counts the exports that ended before a time.
pub async fn count_exports(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<DeletedExports, StoreError> {
    let found = sqlx::query!(
        r#"WITH old AS (SELECT job_id FROM exports WHERE created_at < $1 AND finished_at < $1)
           SELECT (SELECT count(*) FROM old) AS "exports!",
                  (SELECT count(*) FROM export_channels r JOIN old USING (job_id)) AS "runs!",
                  (SELECT count(*) FROM export_attempts a JOIN export_channels r ON r.id = a.run_id
                                                          JOIN old USING (job_id)) AS "attempts!""#,
        before
    )
    .fetch_one(connection)
    .await?;
    let [exports, runs, attempts] = [found.exports, found.runs, found.attempts].map(i64::unsigned_abs);
    Ok(DeletedExports { exports, runs, attempts })
}

/// Deletes a batch of the exports that ended before a time, with their runs and attempts, in a transaction. Skips locked
/// ones: they are being retried.
pub async fn delete_exports(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<DeletedExports, StoreError> {
    let mut tx = connection.begin().await?;
    // An export has ended if `finished_at` is set; `created_at` is indexed.
    let old = sqlx::query_scalar!(
        "SELECT job_id FROM exports WHERE created_at < $1 AND finished_at < $1
          ORDER BY created_at, job_id LIMIT $2 FOR UPDATE SKIP LOCKED",
        before,
        EXPORT_BATCH_SIZE
    )
    .fetch_all(&mut *tx)
    .await?;
    let attempts = sqlx::query!(
        "DELETE FROM export_attempts a USING export_channels r WHERE a.run_id = r.id AND r.job_id = ANY ($1)",
        &old
    )
    .execute(&mut *tx)
    .await?;
    let runs =
        sqlx::query!("DELETE FROM export_channels WHERE job_id = ANY ($1)", &old).execute(&mut *tx).await?;
    let exports = sqlx::query!("DELETE FROM exports WHERE job_id = ANY ($1)", &old).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(DeletedExports {
        exports: exports.rows_affected(),
        runs: runs.rows_affected(),
        attempts: attempts.rows_affected(),
    })
}
