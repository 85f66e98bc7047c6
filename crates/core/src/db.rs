//! Database connections: the check of the URL, the pools, the settings of each session.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
pub use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection, Executor, Row};

use crate::queue;

/// Supabase's transaction pooler.
const TRANSACTION_POOLER_PORT: u16 = 6543;
/// Time allowed to open a session: a server that accepts connections and does not answer is unreachable too.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Idle time after which sessions that read pages are closed: a small server has few.
const READ_IDLE: Duration = Duration::from_secs(30);
/// Age at which a read-only session is replaced.
const READ_ONLY_AGE: Duration = Duration::from_secs(10);
/// Time allowed for the check of a session that returns to its pool.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// Errors before the first query. No text contains the URL or its password.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("DATABASE_URL {0}")]
    Url(#[from] InvalidUrl),
    /// The server could not be reached, or refused the login.
    #[error("the database cannot be reached: {0}")]
    Connect(#[source] sqlx::Error),
    #[error("migration failed: {0}")]
    Migrate(#[from] MigrateError),
    #[error("the queue's schema could not be set up: {0}")]
    Queue(#[from] queue::QueueError),
}

/// Why a `DATABASE_URL` is refused; continues "`DATABASE_URL` …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("must look like postgres://user:password@host:5432/database")]
    NotPostgres,
    /// A pooler in transaction mode runs statements on changing sessions.
    #[error(
        "names port 6543, a pooler in transaction mode, where prepared statements, LISTEN and migrations \
         fail: use the session pooler or the database itself (port 5432)"
    )]
    TransactionPooler,
}

/// A checked `DATABASE_URL`. Its `Debug` shows host and port only.
#[derive(Clone)]
pub struct DatabaseUrl(PgConnectOptions);

impl DatabaseUrl {
    /// Checks the URL without connecting.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(InvalidUrl::NotPostgres);
        }
        let mut options = PgConnectOptions::from_str(text).map_err(|_| InvalidUrl::NotPostgres)?;
        if options.get_port() == TRANSACTION_POOLER_PORT {
            return Err(InvalidUrl::TransactionPooler);
        }
        // `prefer` would fall back to plain text silently.
        let remote = [".supabase.co", ".supabase.com"].iter().any(|zone| options.get_host().ends_with(zone));
        if remote && !text.contains("sslmode=") {
            options = options.ssl_mode(PgSslMode::Require);
        }
        Ok(Self(options.log_statements(tracing::log::LevelFilter::Debug)))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.get_host(), self.0.get_port())
    }
}

/// The purpose of a session, which determines its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Transitions: short, because a process that stops inside one may hold the admission lock.
    Control,
    /// Bulk writes: as long as a batch takes.
    Ingest,
    /// Deletion in batches: yields to any other transaction that needs a row.
    Maintenance,
    /// Pages of the archive: short, independent of statistics.
    Read,
    /// An index build beside other work: it waits for writers, none of which waits for it.
    IndexBuild,
    Listen,
}

impl Purpose {
    /// `SET` rather than startup options: poolers refuse or forget those.
    const fn settings(self) -> &'static str {
        match self {
            // The idle limit is below the lock timeout, so that a stopped process delays others once only.
            Self::Control => {
                "SET lock_timeout = '1s'; SET statement_timeout = '4s'; \
                 SET idle_in_transaction_session_timeout = '500ms'"
            }
            // Generic plans: for a channel that is newer than the statistics, a custom plan expects a single row and then
            // reads the whole channel (migration 0009).
            Self::Ingest => {
                "SET lock_timeout = '1s'; SET statement_timeout = '5min'; \
                 SET idle_in_transaction_session_timeout = '60s'; SET plan_cache_mode = force_generic_plan"
            }
            // Waits for a row half as long as the ingest does. Counting a large archive takes a while.
            Self::Maintenance => {
                "SET lock_timeout = '500ms'; SET statement_timeout = '30min'; \
                 SET idle_in_transaction_session_timeout = '10s'"
            }
            // Pages are in the order of an index. A plan that sorts a channel instead is wrong, whatever the statistics
            // suggest; only messages of the same time are sorted. Disabled plan nodes count as so expensive that JIT
            // would seem to pay. Custom plans, so that a page begins at its bounds.
            Self::Read => {
                "SET lock_timeout = '1s'; SET statement_timeout = '30s'; \
                 SET idle_in_transaction_session_timeout = '5s'; SET plan_cache_mode = force_custom_plan; \
                 SET enable_sort = off; SET enable_bitmapscan = off; SET jit = off; \
                 SET max_parallel_workers_per_gather = 0"
            }
            Self::IndexBuild => "SET lock_timeout = 0; SET statement_timeout = 0",
            Self::Listen => "SET statement_timeout = 0",
        }
    }
}

async fn set_up(connection: &mut PgConnection, purpose: Purpose, name: &str) -> sqlx::Result<()> {
    connection.execute(purpose.settings()).await?;
    // Acknowledged writes must survive a crash of the server, whatever the server's default is.
    connection
        .execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        )
        .await?;
    // After connecting: a pooler hands sessions on, with the name of the process that opened them.
    sqlx::query("SELECT set_config('application_name', $1, false)").bind(name).execute(connection).await?;
    Ok(())
}

fn pool(url: &DatabaseUrl, purpose: Purpose, name: &str, max: u32) -> PgPool {
    let name = name.to_owned();
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(CONNECT_LIMIT)
        .idle_timeout((purpose == Purpose::Read).then_some(READ_IDLE))
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let name = name.clone();
            Box::pin(async move { set_up(connection, purpose, &name).await })
        })
        .after_release(|connection, session| Box::pin(is_reusable(connection, session.age)))
        .connect_lazy_with(url.0.clone())
}

/// Whether a session that returns to its pool may be used again. Without this check the pool would wait endlessly for a
/// silent server, and the session would keep its place.
async fn is_reusable(connection: &mut PgConnection, age: Duration) -> sqlx::Result<bool> {
    // In a transaction `now()` is as old as its BEGIN: a transaction whose caller was dropped stays open (sqlx 0.9).
    // The simple protocol, because in the extended one a statement's time is that of its Execute message and `now()`
    // that of its Bind.
    let check = sqlx::raw_sql(
        "SELECT current_setting('transaction_read_only') = 'on', now() <> statement_timestamp()",
    )
    .fetch_one(connection);
    let checked = tokio::time::timeout(RELEASE_LIMIT, check).await;
    let row = checked.map_err(|_| sqlx::Error::PoolTimedOut)??;
    let (read_only, in_transaction): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    // A session that was opened while the database was read-only may stay read-only afterwards.
    Ok(!in_transaction && (!read_only || age < READ_ONLY_AGE))
}

/// Opens a pool for transitions and reads; sessions open at first use. `name` is shown in `pg_stat_activity`.
pub fn connect_control(url: &DatabaseUrl, name: &str, max: u32) -> PgPool {
    pool(url, Purpose::Control, name, max)
}

/// Opens a pool that reads pages of the archive; sessions open at first use and close when idle.
pub fn connect_read(url: &DatabaseUrl, name: &str, max: u32) -> PgPool {
    pool(url, Purpose::Read, name, max)
}

/// Opens a pool with the one session that waits for notifications.
pub fn connect_listen(url: &DatabaseUrl, name: &str) -> PgPool {
    pool(url, Purpose::Listen, name, 1)
}

/// Opens a session for bulk writes; `name` is the worker's id, by which a rescue recognises the session.
pub async fn connect_ingest(url: &DatabaseUrl, name: &str) -> sqlx::Result<PgConnection> {
    let connect = async {
        let mut connection = PgConnection::connect_with(&url.0).await?;
        set_up(&mut connection, Purpose::Ingest, name).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_LIMIT, connect).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// Opens a session for commands that count and delete many rows.
pub async fn connect_maintenance(url: &DatabaseUrl, name: &str) -> Result<PgConnection, DbError> {
    let mut connection = connect_once(url).await?;
    set_up(&mut connection, Purpose::Maintenance, name).await.map_err(DbError::Connect)?;
    Ok(connection)
}

/// Opens a session that builds or drops an index, without time limits.
pub async fn connect_index_build(url: &DatabaseUrl, name: &str) -> Result<PgConnection, DbError> {
    let mut connection = connect_once(url).await?;
    set_up(&mut connection, Purpose::IndexBuild, name).await.map_err(DbError::Connect)?;
    Ok(connection)
}

pub(crate) async fn connect_once(url: &DatabaseUrl) -> Result<PgConnection, DbError> {
    let connected = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect_with(&url.0)).await;
    connected.map_err(|_| DbError::Connect(sqlx::Error::PoolTimedOut))?.map_err(DbError::Connect)
}

pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(pool).await.map(drop)
}

/// Whether sessions are read-only, e.g. on Supabase over its quota.
pub(crate) async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT current_setting('transaction_read_only') = 'on'").fetch_one(connection).await
}

/// Whether the database is unreachable and waiting may help: there is no server, or it is starting, stopping or has no
/// free connection. A wrong password is another error.
pub fn is_unreachable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("57P")
                || code.starts_with("08")
                || code == "53300"
                // Supabase's pooler has no code of its own for its client limit.
                || (code == "XX000" && error.message().contains("max clients"))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_pooler_is_refused_with_the_reason() {
        let url = "postgres://postgres.abc:secret@aws-0-eu.pooler.supabase.com:6543/postgres";
        assert_eq!(DatabaseUrl::parse(url).unwrap_err(), InvalidUrl::TransactionPooler);
        assert_eq!(DatabaseUrl::parse("mysql://x").unwrap_err(), InvalidUrl::NotPostgres);
    }

    #[test]
    fn connections_to_supabase_require_tls() {
        let url = DatabaseUrl::parse("postgres://u:secret@db.abc.supabase.co/postgres").unwrap();
        assert!(matches!(url.0.get_ssl_mode(), PgSslMode::Require));
        assert!(!format!("{url:?}").contains("secret"));
    }
}
