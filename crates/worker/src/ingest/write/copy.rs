//! Writes COPY streams: into `messages`, or into a staging table and from there if some of the rows exist. The only SQL on our
//! tables outside core's store: the ingest's encoder decides the columns.

use std::sync::LazyLock;

use dce_core::store::StoreError;
use dce_ingest::copy::batch::COLUMNS;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

/// Size of the pieces in which COPY data is sent: the client copies each piece once more.
const PIECE: usize = 64 << 10;

static COPY: LazyLock<String> =
    LazyLock::new(|| format!("COPY messages ({COLUMNS}) FROM STDIN (FORMAT binary)"));

static COPY_STAGED: LazyLock<String> =
    LazyLock::new(|| format!("COPY staged_messages ({COLUMNS}) FROM STDIN (FORMAT binary)"));

static MERGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH inserted AS (
           INSERT INTO messages ({COLUMNS}) SELECT {COLUMNS} FROM staged_messages
           ON CONFLICT (channel_id, message_id) DO NOTHING RETURNING message_id)
         SELECT count(*), coalesce(array_agg(message_id) FILTER (WHERE message_id = ANY ($1)), '{{}}') FROM inserted"
    )
});

/// Inserts the rows of a binary COPY stream, or none of them if one exists already (23505). Returns their number.
pub(super) async fn insert(connection: &mut PgConnection, stream: &[u8]) -> Result<u64, StoreError> {
    copy(connection, &COPY, stream).await
}

/// Copies the rows of a binary COPY stream into a temporary table of this session, which COMMIT empties.
pub(super) async fn stage(connection: &mut PgConnection, stream: &[u8]) -> Result<(), StoreError> {
    // Not checked at compile time, like the statements that use the table: only the session has it.
    sqlx::query("CREATE TEMP TABLE IF NOT EXISTS staged_messages (LIKE messages INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
        .execute(&mut *connection)
        .await?;
    copy(connection, &COPY_STAGED, stream).await?;
    Ok(())
}

/// Inserts the staged rows that are not archived. Returns their number, and which of `asked` are among them.
pub(super) async fn insert_staged(
    connection: &mut PgConnection,
    asked: &[String],
) -> Result<(i64, Vec<String>), StoreError> {
    let inserted = sqlx::query_as(AssertSqlSafe(MERGE.as_str())).bind(asked).fetch_one(connection).await?;
    Ok(inserted)
}

/// Replaces archived messages by newer staged rows, and keeps the replaced versions if requested. `job_id` and `inserted_at`
/// remain those of the insertion. Returns the number of messages replaced.
pub(super) async fn replace_with_staged(
    connection: &mut PgConnection,
    keep_versions: bool,
) -> Result<u64, StoreError> {
    let replaced = sqlx::query(
        r#"WITH older AS (
             SELECT m.channel_id, m.message_id, m.exported_at, m.raw
               FROM messages m JOIN staged_messages s USING (channel_id, message_id)
              WHERE s.exported_at > coalesce(m.exported_at, '-infinity') FOR NO KEY UPDATE OF m),
           kept AS (
             INSERT INTO message_versions (channel_id, message_id, exported_at, raw, job_id)
             SELECT o.channel_id, o.message_id, o.exported_at, o.raw, s.job_id
               FROM older o JOIN staged_messages s USING (channel_id, message_id) WHERE $1)
           UPDATE messages m
              SET author_id = s.author_id, author_name = s.author_name, content = s.content, "timestamp" = s."timestamp",
                  attachments = s.attachments, embeds = s.embeds, raw = s.raw, exported_at = s.exported_at, missing_since = NULL
             FROM staged_messages s JOIN older o USING (channel_id, message_id)
            WHERE m.channel_id = s.channel_id AND m.message_id = s.message_id"#,
    )
    .bind(keep_versions)
    .execute(connection)
    .await?;
    Ok(replaced.rows_affected())
}

async fn copy(connection: &mut PgConnection, statement: &str, stream: &[u8]) -> Result<u64, StoreError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for piece in stream.chunks(PIECE) {
        if let Err(error) = copy.send(piece).await {
            // The server's reason arrives with the answer to the end of the stream, if the server still answers.
            return Err(copy.finish().await.err().unwrap_or(error).into());
        }
    }
    Ok(copy.finish().await?)
}
