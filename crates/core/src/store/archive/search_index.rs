//! The index on the text of messages. An archive works without it: whoever searches much makes it (docs/search.md).

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use crate::store::StoreError;

/// What became of a wish for the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    Built,
    /// It was there.
    WasThere,
}

/// What is left of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// None at all.
    None,
    /// One that works.
    Valid,
    /// One whose building was interrupted: it costs writes and helps nobody.
    Invalid,
}

/// Whether there is such an index.
pub async fn look(connection: &mut PgConnection) -> Result<Leftover, StoreError> {
    let is_valid = sqlx::query_scalar!(
        r#"SELECT indisvalid AS "is_valid!" FROM pg_index WHERE indexrelid = to_regclass('messages_content_trgm')"#
    )
    .fetch_optional(connection)
    .await?;
    Ok(match is_valid {
        None => Leftover::None,
        Some(true) => Leftover::Valid,
        Some(false) => Leftover::Invalid,
    })
}

/// Builds the index beside all reads and writes. The session must have no limits of time.
pub async fn create(connection: &mut PgConnection) -> Result<Created, StoreError> {
    match look(connection).await? {
        Leftover::Valid => return Ok(Created::WasThere),
        Leftover::Invalid => drop(connection).await?,
        Leftover::None => {}
    }
    let extension = extension(connection).await?;
    // Not checked at compile time: the operators are wherever the extension is.
    let create = format!(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_content_trgm ON messages USING gin (content {extension}.gin_trgm_ops)"
    );
    connection.execute(AssertSqlSafe(create)).await?;
    Ok(Created::Built)
}

/// Drops the index, if there is one, beside all reads and writes.
pub async fn drop(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.execute("DROP INDEX CONCURRENTLY IF EXISTS messages_content_trgm").await?;
    Ok(())
}

/// Installs `pg_trgm` if it is not there, where Supabase has its extensions if there is such a schema. Returns the quoted
/// schema that it is in.
async fn extension(connection: &mut PgConnection) -> Result<String, StoreError> {
    let has_schema = sqlx::query_scalar!(r#"SELECT to_regnamespace('extensions') IS NOT NULL AS "has!""#)
        .fetch_one(&mut *connection)
        .await?;
    let create = if has_schema {
        "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions"
    } else {
        "CREATE EXTENSION IF NOT EXISTS pg_trgm"
    };
    connection.execute(create).await?;
    let schema = sqlx::query_scalar!(
        r#"SELECT quote_ident(n.nspname) AS "schema!" FROM pg_extension e
             JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'"#
    )
    .fetch_one(connection)
    .await?;
    Ok(schema)
}
