//! Erased authors, channels and messages, which batches skip; and the coordination of an erasure with batches under way,
//! without either waiting for a lock.
//!
//! A transaction that writes messages holds a mark (an advisory lock in shared mode, never taken otherwise) and reads the
//! erasures in a later statement. An erasure commits, then waits until the holders of the mark at that time have ended:
//! all later batches have read the erasure.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use crate::ids::Snowflake;
use crate::store::StoreError;

/// Begins a transaction that writes messages and takes the mark, in one round trip.
pub const BEGIN_BATCH: &str = "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('dce.erasures'))";

/// Pause between two checks whether batches have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The author, channel or message that is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// All messages of an author, in any channel.
    Author(Snowflake),
    /// All messages of a channel or thread.
    Channel(Snowflake),
    /// One message. A thread's first post has the same id in the thread and in its parent, and is erased in both.
    Message(Snowflake),
}

impl Subject {
    /// As stored in `erasures.kind`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Author(_) => "author",
            Self::Channel(_) => "channel",
            Self::Message(_) => "message",
        }
    }

    pub const fn id(self) -> Snowflake {
        match self {
            Self::Author(id) | Self::Channel(id) | Self::Message(id) => id,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}

/// Records an erasure. `false`: it was recorded before.
pub async fn record(connection: &mut PgConnection, subject: Subject) -> Result<bool, StoreError> {
    let recorded = sqlx::query!(
        "INSERT INTO erasures (kind, subject_id) VALUES ($1, $2) ON CONFLICT (kind, subject_id) DO NOTHING",
        subject.kind(),
        subject.id().to_string()
    )
    .execute(connection)
    .await?;
    Ok(recorded.rows_affected() == 1)
}

/// Waits for the end of the batches under way, which may not have read the recorded erasures. `false`: some have not
/// ended within `limit`.
pub async fn wait_for_batches(connection: &mut PgConnection, limit: Duration) -> Result<bool, StoreError> {
    let since = Instant::now();
    let under_way = batches(connection).await?;
    let mut left = under_way.clone();
    while !left.is_empty() {
        if since.elapsed() > limit {
            return Ok(false);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        left = batches(connection).await?;
        left.retain(|batch| under_way.contains(batch));
    }
    Ok(true)
}

/// The transactions that hold the mark, by their names, which are never reused.
async fn batches(connection: &mut PgConnection) -> Result<HashSet<String>, StoreError> {
    let names = sqlx::query_scalar!(
        r#"SELECT l.virtualtransaction AS "name!" FROM pg_locks l
            WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
              AND (l.classid::bigint << 32) | l.objid::bigint = hashtext('dce.erasures')
              AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"#
    )
    .fetch_all(connection)
    .await?;
    Ok(names.into_iter().collect())
}

/// The erased parts of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// The channel, and with it the whole batch.
    pub channel: bool,
    pub authors: HashSet<String>,
    pub messages: HashSet<Snowflake>,
}

/// Whether any erasure is recorded. Valid for a batch whose transaction was begun by [`BEGIN_BATCH`].
pub async fn any(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM erasures) AS "any!""#);
    Ok(any.fetch_one(connection).await?)
}

/// Looks up the erasures among these authors and messages of a channel.
pub async fn find_among(
    connection: &mut PgConnection,
    channel_id: Snowflake,
    authors: &[String],
    messages: &[String],
) -> Result<Erased, StoreError> {
    let rows = sqlx::query!(
        "SELECT kind, subject_id FROM erasures WHERE kind = 'channel' AND subject_id = $1
          UNION ALL
         SELECT kind, subject_id FROM erasures WHERE kind = 'author' AND subject_id = ANY ($2)
          UNION ALL
         SELECT kind, subject_id FROM erasures WHERE kind = 'message' AND subject_id = ANY ($3)",
        channel_id.to_string(),
        authors,
        messages
    )
    .fetch_all(connection)
    .await?;
    let mut erased = Erased::default();
    for (kind, id) in rows.into_iter().filter_map(|row| row.kind.zip(row.subject_id)) {
        match kind.as_str() {
            "channel" => erased.channel = true,
            "author" => drop(erased.authors.insert(id)),
            _ => erased.messages.extend(id.parse::<Snowflake>()),
        }
    }
    Ok(erased)
}
