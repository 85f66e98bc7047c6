//! Connections: which URL is fit, what every session is set to, migrations.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
pub use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection, Executor, Row};

use crate::{queue, schema};

/// The port of Supabase's transaction pooler.
const TRANSACTION_POOLER_PORT: u16 = 6543;
/// How long a start waits for the database before it gives up.
const PATIENCE_AT_START: Duration = Duration::from_mins(1);
/// Pause between two tries at start.
const PAUSE_AT_START: Duration = Duration::from_secs(1);
/// How long a session may take to open: a server that takes connections and says nothing is away too.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Sessions that read pages are closed when nobody has read for so long: a small server has few.
const READ_IDLE: Duration = Duration::from_secs(30);
/// A read-only session is used for so long, then opened anew.
const READ_ONLY_AGE: Duration = Duration::from_secs(10);
/// How long a session may take to become fit again when it comes back to its pool.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// What can go wrong before the first query. None of the texts contains the URL or its password.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// `DATABASE_URL` cannot be used.
    #[error("DATABASE_URL {0}")]
    Url(#[from] UnfitUrl),
    /// The server could not be reached, or refused the login.
    #[error("the database cannot be reached: {0}")]
    Connect(#[source] sqlx::Error),
    /// A migration failed.
    #[error("migration failed: {0}")]
    Migrate(#[from] MigrateError),
    /// The queue's own schema could not be set up.
    #[error("the queue's schema could not be set up: {0}")]
    Queue(#[from] queue::QueueError),
}

/// Why a `DATABASE_URL` is refused; completes the sentence "`DATABASE_URL` …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfitUrl {
    /// Not a Postgres URL.
    #[error("must look like postgres://user:password@host:5432/database")]
    NotPostgres,
    /// A pooler in transaction mode runs statements on changing sessions.
    #[error(
        "names port 6543, a pooler in transaction mode, where prepared statements, LISTEN and migrations \
         fail: use the session pooler or the database itself (port 5432)"
    )]
    TransactionPooler,
}

/// A checked `DATABASE_URL`. Its `Debug` shows where, never with what.
#[derive(Clone)]
pub struct DatabaseUrl(PgConnectOptions);

impl DatabaseUrl {
    /// Checks the URL without connecting.
    pub fn parse(text: &str) -> Result<Self, UnfitUrl> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(UnfitUrl::NotPostgres);
        }
        let mut options = PgConnectOptions::from_str(text).map_err(|_| UnfitUrl::NotPostgres)?;
        if options.get_port() == TRANSACTION_POOLER_PORT {
            return Err(UnfitUrl::TransactionPooler);
        }
        // `prefer` would fall back to plain text without a word.
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

/// What a session is for, and with that its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Transitions: short, because whoever stops inside one may hold the admission lock.
    Control,
    /// Bulk writes: may take as long as a batch takes.
    Ingest,
    /// Deletes in batches: gives way to whoever else needs a row.
    Maintenance,
    /// Pages of the archive: none is long, and none depends on statistics.
    Read,
    /// Builds an index beside everything else: waits for whoever writes, and nobody waits for it.
    IndexBuild,
    /// Waits for notifications.
    Listen,
}

impl Purpose {
    /// `SET` rather than startup options: poolers refuse or forget those.
    const fn settings(self) -> &'static str {
        match self {
            // The idle limit is below the lock timeout, so that a stopped process delays others once, not for ever.
            Self::Control => {
                "SET lock_timeout = '1s'; SET statement_timeout = '4s'; \
                 SET idle_in_transaction_session_timeout = '500ms'"
            }
            // Plans for any parameters: of a channel that is newer than the statistics one for this channel expects a
            // single row, and then reads all of it in search of another (migration 0009).
            Self::Ingest => {
                "SET lock_timeout = '1s'; SET statement_timeout = '5min'; \
                 SET idle_in_transaction_session_timeout = '60s'; SET plan_cache_mode = force_generic_plan"
            }
            // Waits for a row half as long as ingest does. Counting a big archive takes a while.
            Self::Maintenance => {
                "SET lock_timeout = '500ms'; SET statement_timeout = '30min'; \
                 SET idle_in_transaction_session_timeout = '10s'"
            }
            // Pages are in the order of an index, and a plan that sorts a channel instead is the wrong one, whatever the
            // statistics say of it; what stays is sorting among messages of one moment. What is switched off counts as so
            // expensive that compiling would seem to pay. Planned for the values, so that a page knows where it begins.
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
    // What was said to be stored must survive a crash of the server, whatever the server's default is.
    connection
        .execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        )
        .await?;
    // After connecting: a pooler hands sessions on, with the name of whoever opened them.
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
        .after_release(|connection, session| Box::pin(is_fit(connection, session.age)))
        .connect_lazy_with(url.0.clone())
}

/// Whether a session that comes back to its pool may be used again. The pool itself would wait for a silent server
/// without end, with the place of the session taken.
async fn is_fit(connection: &mut PgConnection, age: Duration) -> sqlx::Result<bool> {
    // In a transaction `now()` is as old as its BEGIN: one whose caller left in the middle of it stays open (sqlx 0.9).
    // In the simple protocol, because in the extended one a statement's time is that of its Execute message and `now()`
    // that of its Bind.
    let look = sqlx::raw_sql(
        "SELECT current_setting('transaction_read_only') = 'on', now() <> statement_timestamp()",
    )
    .fetch_one(connection);
    let looked = tokio::time::timeout(RELEASE_LIMIT, look).await;
    let look = looked.map_err(|_| sqlx::Error::PoolTimedOut)??;
    let (read_only, in_transaction): (bool, bool) = (look.try_get(0)?, look.try_get(1)?);
    // One that was opened while the database took no writes may stay so when the database does not.
    Ok(!in_transaction && (!read_only || age < READ_ONLY_AGE))
}

/// Sessions for transitions and reads; opened at first use. `name` is shown in `pg_stat_activity`.
pub fn connect_control(url: &DatabaseUrl, name: &str, max: u32) -> PgPool {
    pool(url, Purpose::Control, name, max)
}

/// Sessions that read pages of the archive; opened at first use, closed when nobody reads.
pub fn connect_read(url: &DatabaseUrl, name: &str, max: u32) -> PgPool {
    pool(url, Purpose::Read, name, max)
}

/// The one session that waits for notifications.
pub fn connect_listen(url: &DatabaseUrl, name: &str) -> PgPool {
    pool(url, Purpose::Listen, name, 1)
}

/// One session for bulk writes; `name` is the worker's id, by which a rescue recognises it.
pub async fn connect_ingest(url: &DatabaseUrl, name: &str) -> sqlx::Result<PgConnection> {
    let connect = async {
        let mut connection = PgConnection::connect_with(&url.0).await?;
        set_up(&mut connection, Purpose::Ingest, name).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_LIMIT, connect).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

/// One session for commands that count and delete much.
pub async fn connect_maintenance(url: &DatabaseUrl, name: &str) -> Result<PgConnection, DbError> {
    let mut connection = connect_once(url).await?;
    set_up(&mut connection, Purpose::Maintenance, name).await.map_err(DbError::Connect)?;
    Ok(connection)
}

/// One session that builds or drops an index, without limits of time.
pub async fn connect_index_build(url: &DatabaseUrl, name: &str) -> Result<PgConnection, DbError> {
    let mut connection = connect_once(url).await?;
    set_up(&mut connection, Purpose::IndexBuild, name).await.map_err(DbError::Connect)?;
    Ok(connection)
}

pub(crate) async fn connect_once(url: &DatabaseUrl) -> Result<PgConnection, DbError> {
    let connected = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect_with(&url.0)).await;
    connected.map_err(|_| DbError::Connect(sqlx::Error::PoolTimedOut))?.map_err(DbError::Connect)
}

/// Whether the database answers.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(pool).await.map(drop)
}

/// Whether sessions take no writes, e.g. on Supabase over its quota.
pub(crate) async fn is_read_only(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT current_setting('transaction_read_only') = 'on'").fetch_one(connection).await
}

/// What a start needs: the database there, the schema up to date if asked for.
/// Waits up to a minute for a database that is not there yet, with a log line a try. `true`: it had to wait.
pub async fn prepare(url: &DatabaseUrl, migrate: bool) -> Result<bool, DbError> {
    let started = Instant::now();
    let mut waited = false;
    loop {
        let tried = async {
            if migrate {
                return schema::bring_up_to_date(url).await;
            }
            let connection = connect_once(url).await?;
            connection.close().await.map_err(DbError::Connect)
        };
        match tried.await {
            Err(DbError::Connect(error)) if is_away(&error) && started.elapsed() < PATIENCE_AT_START => {
                waited = true;
                tracing::warn!(database = ?url, error = %error, "database.unreachable");
                tokio::time::sleep(PAUSE_AT_START).await;
            }
            done => return done.map(|()| waited),
        }
    }
}

/// Whether the database is away and waiting can help: no server yet, or one that is starting, stopping or has no free
/// connection; not a wrong password.
pub fn is_away(error: &sqlx::Error) -> bool {
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
                // Supabase's pooler has no code of its own for its limit of clients.
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
        assert_eq!(DatabaseUrl::parse(url).unwrap_err(), UnfitUrl::TransactionPooler);
        assert_eq!(DatabaseUrl::parse("mysql://x").unwrap_err(), UnfitUrl::NotPostgres);
    }

    #[test]
    fn supabase_is_never_spoken_to_in_plain_text_by_accident() {
        let url = DatabaseUrl::parse("postgres://u:secret@db.abc.supabase.co/postgres").unwrap();
        assert!(matches!(url.0.get_ssl_mode(), PgSslMode::Require));
        assert!(!format!("{url:?}").contains("secret"));
    }
}
