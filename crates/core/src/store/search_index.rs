//! The trigram index on the text of messages. Optional: an operator builds it for frequent searches (docs/search.md).

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use super::StoreError;

/// The outcome of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildOutcome {
    Built,
    AlreadyExists,
}

/// The state of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    Missing,
    Valid,
    /// The build was interrupted: the index slows writes and serves no search.
    Invalid,
}

pub async fn state(connection: &mut PgConnection) -> Result<IndexState, StoreError> {
    let is_valid = sqlx::query_scalar!(
        r#"SELECT indisvalid AS "is_valid!" FROM pg_index WHERE indexrelid = to_regclass('messages_content_trgm')"#
    )
    .fetch_optional(connection)
    .await?;
    Ok(match is_valid {
        None => IndexState::Missing,
        Some(true) => IndexState::Valid,
        Some(false) => IndexState::Invalid,
    })
}

/// Builds the index without blocking reads or writes. The session must have no time limits.
pub async fn create(connection: &mut PgConnection) -> Result<BuildOutcome, StoreError> {
    match state(connection).await? {
        IndexState::Valid => return Ok(BuildOutcome::AlreadyExists),
        IndexState::Invalid => drop(connection).await?,
        IndexState::Missing => {}
    }
    let extension = extension(connection).await?;
    // Not checked at compile time: the operators are in the schema of the extension.
    let create = format!(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_content_trgm ON messages USING gin (content {extension}.gin_trgm_ops)"
    );
    connection.execute(AssertSqlSafe(create)).await?;
    Ok(BuildOutcome::Built)
}

/// Drops the index, if it exists, without blocking reads or writes.
pub async fn drop(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.execute("DROP INDEX CONCURRENTLY IF EXISTS messages_content_trgm").await?;
    Ok(())
}

/// Installs `pg_trgm` if it is missing, in the schema `extensions` if that exists, as on Supabase. Returns the quoted
/// name of its schema.
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
