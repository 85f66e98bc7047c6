//! Migrations of schema and queue, and the wait for the database at start.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use crate::db::{DatabaseUrl, DbError, connect_once, is_read_only, is_unreachable};
use crate::queue;

/// The table in which sqlx records our migrations.
const TABLE: &str = "_sqlx_migrations";

/// Time that a start waits for the database.
const STARTUP_LIMIT: Duration = Duration::from_mins(1);

const STARTUP_PAUSE: Duration = Duration::from_secs(1);

/// Prepares a start: waits for the database and, if `migrate`, brings the schema up to date. Waits up to a minute for an
/// unreachable database and logs each try. `true`: it had to wait.
pub async fn prepare(url: &DatabaseUrl, migrate: bool) -> Result<bool, DbError> {
    let started = Instant::now();
    let mut waited = false;
    loop {
        let tried = async {
            if migrate {
                return bring_up_to_date(url).await;
            }
            let connection = connect_once(url).await?;
            connection.close().await.map_err(DbError::Connect)
        };
        match tried.await {
            Err(DbError::Connect(error)) if is_unreachable(&error) && started.elapsed() < STARTUP_LIMIT => {
                waited = true;
                tracing::warn!(database = ?url, error = %error, "database.unreachable");
                tokio::time::sleep(STARTUP_PAUSE).await;
            }
            done => return done.map(|()| waited),
        }
    }
}

/// Brings schema and queue up to date. Processes that start at once do so one after the other.
/// Leaves a schema that is newer than this program alone: migrations only expand while old programs run.
pub async fn migrate(url: &str) -> Result<(), DbError> {
    bring_up_to_date(&DatabaseUrl::parse(url)?).await
}

async fn bring_up_to_date(url: &DatabaseUrl) -> Result<(), DbError> {
    let mut connection = connect_once(url).await?;
    let mut ours = sqlx::migrate!("../../migrations");
    ours.set_ignore_missing(true);
    // A distant database takes tens of milliseconds for each of the two dozen statements of a migration.
    if is_up_to_date(&mut connection, &ours).await.map_err(DbError::Connect)? {
        return connection.close().await.map_err(DbError::Connect);
    }
    // Another process's migration may hold the lock for long; a role's statement limit (Supabase: 2 min) may be shorter.
    connection.execute("SET statement_timeout = 0").await.map_err(DbError::Connect)?;
    if is_read_only(&mut connection).await.map_err(DbError::Connect)? {
        tracing::error!("database.migration_skipped");
        return connection.close().await.map_err(DbError::Connect);
    }
    ours.run_direct(None, &mut connection, false).await?;
    queue::set_up(&mut connection).await?;
    connection.close().await.map_err(DbError::Connect)
}

/// Whether the schema is as this program knows it. The migration itself handles any other state, even half a migration.
async fn is_up_to_date(connection: &mut PgConnection, ours: &Migrator) -> sqlx::Result<bool> {
    let is_set_up = sqlx::raw_sql(AssertSqlSafe(format!(
        "SELECT to_regclass('{TABLE}') IS NOT NULL AND {}",
        queue::IS_SET_UP
    )));
    let is_set_up: bool = connection.fetch_one(is_set_up).await?.try_get(0)?;
    Ok(is_set_up
        && has_all(connection, ours, TABLE).await?
        && has_all(connection, &queue::migrations(), queue::MIGRATIONS_TABLE).await?)
}

/// Whether this table records all of these migrations as done.
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
