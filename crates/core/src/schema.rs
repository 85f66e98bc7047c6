//! Bringing schema and queue up to date.

use std::collections::HashMap;

use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use crate::db::{DatabaseUrl, DbError, connect_once, is_read_only};
use crate::queue;

/// Where sqlx records our migrations.
const TABLE: &str = "_sqlx_migrations";

/// Brings schema and queue up to date, one process after the other when several start at once.
/// A schema newer than this program is left alone: migrations only expand while old programs run.
pub async fn migrate(url: &str) -> Result<(), DbError> {
    bring_up_to_date(&DatabaseUrl::parse(url)?).await
}

pub(crate) async fn bring_up_to_date(url: &DatabaseUrl) -> Result<(), DbError> {
    let mut connection = connect_once(url).await?;
    let mut ours = sqlx::migrate!("../../migrations");
    ours.set_ignore_missing(true);
    // A far database answers each of the two dozen statements of migrating in tens of milliseconds.
    if is_up_to_date(&mut connection, &ours).await.map_err(DbError::Connect)? {
        return connection.close().await.map_err(DbError::Connect);
    }
    // Somebody else's migration may hold the lock for long; a login's statement limit (Supabase: 2 min) may be shorter.
    connection.execute("SET statement_timeout = 0").await.map_err(DbError::Connect)?;
    if is_read_only(&mut connection).await.map_err(DbError::Connect)? {
        tracing::error!("database.migration_skipped");
        return connection.close().await.map_err(DbError::Connect);
    }
    ours.run_direct(None, &mut connection, false).await?;
    queue::set_up(&mut connection).await?;
    connection.close().await.map_err(DbError::Connect)
}

/// Whether everything is there as this program knows it. Anything else, half a migration too, is for migrating to judge.
async fn is_up_to_date(connection: &mut PgConnection, ours: &Migrator) -> sqlx::Result<bool> {
    let is_there = sqlx::raw_sql(AssertSqlSafe(format!(
        "SELECT to_regclass('{TABLE}') IS NOT NULL AND {}",
        queue::IS_THERE
    )));
    let is_there: bool = connection.fetch_one(is_there).await?.try_get(0)?;
    Ok(is_there
        && has_all(connection, ours, TABLE).await?
        && has_all(connection, &queue::migrations(), queue::MIGRATIONS_TABLE).await?)
}

/// Whether all of these migrations are recorded in this table as done.
async fn has_all(
    connection: &mut PgConnection,
    migrations: &Migrator,
    table: &'static str,
) -> sqlx::Result<bool> {
    let done = sqlx::raw_sql(AssertSqlSafe(format!("SELECT version, checksum FROM {table} WHERE success")));
    let mut checksums = HashMap::new();
    for row in connection.fetch_all(done).await? {
        checksums.insert(row.try_get::<i64, _>(0)?, row.try_get::<Vec<u8>, _>(1)?);
    }
    let is_done = |migration: &Migration| {
        checksums.get(&migration.version).is_some_and(|checksum| **checksum == *migration.checksum)
    };
    Ok(migrations.iter().filter(|migration| !migration.migration_type.is_down_migration()).all(is_done))
}
