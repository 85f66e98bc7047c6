//! The statements that write a batch's rows, inside of the caller's transaction.

use std::sync::LazyLock;

use dce_core::store::StoreError;
use sqlx::postgres::PgConnection;

use super::batch::{COPY_COLUMNS, SealedBatch};
use super::missing::unmark;
use super::probe::Found;

/// COPY data goes out in pieces of this size: the client copies each piece once more.
const PIECE: usize = 64 << 10;

static COPY: LazyLock<String> =
    LazyLock::new(|| format!("COPY messages ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)"));
static COPY_STAGED: LazyLock<String> =
    LazyLock::new(|| format!("COPY staged_messages ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)"));
static MERGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO messages ({COPY_COLUMNS}) SELECT {COPY_COLUMNS} FROM staged_messages
         ON CONFLICT (channel_id, message_id) DO NOTHING"
    )
});

/// Replaces what is older than the staged rows, and keeps what it replaces if that is asked for. Who inserted a message
/// stays the one who did.
const REPLACE: &str = r#"
    WITH older AS (
      SELECT m.channel_id, m.message_id, m.exported_at, m.raw FROM messages m JOIN staged_messages s USING (channel_id, message_id)
       WHERE s.exported_at > coalesce(m.exported_at, '-infinity') FOR NO KEY UPDATE OF m),
    kept AS (
      INSERT INTO message_versions (channel_id, message_id, exported_at, raw, job_id)
      SELECT o.channel_id, o.message_id, o.exported_at, o.raw, s.job_id
        FROM older o JOIN staged_messages s USING (channel_id, message_id) WHERE $1)
    UPDATE messages m
       SET author_id = s.author_id, author_name = s.author_name, content = s.content, "timestamp" = s."timestamp",
           attachments = s.attachments, embeds = s.embeds, raw = s.raw, exported_at = s.exported_at, missing_since = NULL
      FROM staged_messages s JOIN older o USING (channel_id, message_id)
     WHERE m.channel_id = s.channel_id AND m.message_id = s.message_id"#;

/// How new messages are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By COPY, which the key refuses as a whole if one of them is there after all.
    Direct,
    /// By way of a staging table, whatever is there.
    Staged,
}

/// Rows that were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) inserted: i64,
    pub(super) updated: i64,
}

/// Inserts what is new, replaces what has changed.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    found: &Found,
    way: Way,
    keep_versions: bool,
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    if way == Way::Direct && !found.new.is_empty() {
        written.inserted = count(copy_rows(connection, &COPY, batch, &found.new).await?);
    }
    let staged: Vec<usize> = match way {
        Way::Direct => found.changed.clone(),
        Way::Staged => found.new.iter().chain(&found.changed).copied().collect(),
    };
    if !staged.is_empty() {
        stage(connection, batch, &staged).await?;
        if way == Way::Staged {
            let merged = sqlx::query(sqlx::AssertSqlSafe(MERGE.as_str())).execute(&mut *connection).await?;
            written.inserted = count(merged.rows_affected());
        }
        if !found.changed.is_empty() {
            let replaced = sqlx::query(REPLACE).bind(keep_versions).execute(&mut *connection).await?;
            written.updated = count(replaced.rows_affected());
        }
    }
    if !found.returned.is_empty() {
        unmark(connection, batch.channel_id(), &found.returned, batch.newest_export()).await?;
    }
    Ok(written)
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

async fn stage(connection: &mut PgConnection, batch: &SealedBatch, rows: &[usize]) -> Result<(), StoreError> {
    sqlx::query("CREATE TEMP TABLE IF NOT EXISTS staged_messages (LIKE messages INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
        .execute(&mut *connection)
        .await?;
    copy_rows(connection, &COPY_STAGED, batch, rows).await?;
    Ok(())
}

async fn copy_rows(
    connection: &mut PgConnection,
    statement: &str,
    batch: &SealedBatch,
    rows: &[usize],
) -> Result<u64, StoreError> {
    if rows.len() == batch.ids().len() {
        return copy(connection, statement, batch.stream()).await;
    }
    copy(connection, statement, &batch.select(rows.iter().copied())).await
}

async fn copy(connection: &mut PgConnection, statement: &str, stream: &[u8]) -> Result<u64, StoreError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for piece in stream.chunks(PIECE) {
        if let Err(error) = copy.send(piece).await {
            // The server's reason comes with the answer to the end, if there is still a server.
            return Err(copy.finish().await.err().unwrap_or(error).into());
        }
    }
    Ok(copy.finish().await?)
}
