//! Deleting what is old, a few thousand rows to a transaction. Nothing keeps it from coming back.

use std::ops::AddAssign;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::StoreError;
use super::removal::{CHUNK, Removed, channels_or, settle};
use crate::ids::Snowflake;

/// Exports deleted in one transaction; each may have hundreds of runs.
const EXPORTS: i64 = 20;

/// The moment that lies so far back, by the database's clock.
pub async fn moment(connection: &mut PgConnection, age: Duration) -> Result<DateTime<Utc>, StoreError> {
    let moment = sqlx::query_scalar!(
        r#"SELECT clock_timestamp() - make_interval(secs => $1) AS "moment!""#,
        age.as_secs_f64()
    );
    Ok(moment.fetch_one(connection).await?)
}

/// Messages of a channel, or of all, that were sent before a moment, and their versions.
pub async fn count_messages(
    connection: &mut PgConnection,
    channel: Option<Snowflake>,
    before: DateTime<Utc>,
) -> Result<Removed, StoreError> {
    let channels = channels_or(connection, channel).await?;
    let found = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM messages WHERE channel_id = ANY ($1) AND "timestamp" < $2) AS "messages!",
                  (SELECT count(*) FROM message_versions v JOIN messages m USING (channel_id, message_id)
                    WHERE m.channel_id = ANY ($1) AND m."timestamp" < $2) AS "versions!""#,
        &channels,
        before
    )
    .fetch_one(connection)
    .await?;
    Ok(Removed { messages: found.messages.unsigned_abs(), versions: found.versions.unsigned_abs() })
}

/// Messages being pruned, the oldest of each channel first.
#[derive(Debug)]
pub struct OldMessages {
    before: DateTime<Utc>,
    /// Channels that are not through, the present one last.
    channels: Vec<String>,
    /// From here on: what lies before is deleted, and its index entries are not walked through again.
    from: Option<DateTime<Utc>>,
}

impl OldMessages {
    /// Of a channel, or of all, sent before this moment.
    pub async fn begin(
        connection: &mut PgConnection,
        channel: Option<Snowflake>,
        before: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        Ok(Self { before, channels: channels_or(connection, channel).await?, from: None })
    }

    /// Deletes some, in a transaction. `None`: nothing is left. After an error it can be called again.
    pub async fn next(&mut self, connection: &mut PgConnection) -> Result<Option<Removed>, StoreError> {
        let Some(channel) = self.channels.last() else { return Ok(None) };
        let mut tx = connection.begin().await?;
        let end = end_of_chunk(&mut tx, channel, self.from, self.before).await?;
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
        let removed = settle(&mut tx, channel, &deleted).await?;
        tx.commit().await?;
        self.from = end;
        if end.is_none() {
            self.channels.pop();
        }
        Ok(Some(removed))
    }
}

/// When the last of the next messages was sent; those of the same moment go with it. `None`: they are the last.
async fn end_of_chunk(
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
        CHUNK - 1
    )
    .fetch_optional(connection)
    .await?;
    Ok(end)
}

/// Exports that were deleted, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedExports {
    /// Exports.
    pub exports: u64,
    /// Their runs.
    pub runs: u64,
    /// The attempts at these.
    pub attempts: u64,
}

impl AddAssign for RemovedExports {
    fn add_assign(&mut self, more: Self) {
        self.exports += more.exports;
        self.runs += more.runs;
        self.attempts += more.attempts;
    }
}

/// Exports that ended before a moment.
pub async fn count_exports(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<RemovedExports, StoreError> {
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
    Ok(RemovedExports { exports, runs, attempts })
}

/// Deletes some of the exports that ended before a moment, with their runs and attempts, in a transaction. One that is in
/// other hands is left: it is being retried.
pub async fn exports(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<RemovedExports, StoreError> {
    let mut tx = connection.begin().await?;
    // Ended is what has a `finished_at`; `created_at` is indexed.
    let old = sqlx::query_scalar!(
        "SELECT job_id FROM exports WHERE created_at < $1 AND finished_at < $1
          ORDER BY created_at, job_id LIMIT $2 FOR UPDATE SKIP LOCKED",
        before,
        EXPORTS
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
    Ok(RemovedExports {
        exports: exports.rows_affected(),
        runs: runs.rows_affected(),
        attempts: attempts.rows_affected(),
    })
}
