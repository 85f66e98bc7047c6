//! A database per test, on one private server per test process. Without Postgres on this machine a test panics, and the
//! message says what to install.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dce_local::{PostgresError, PrivatePostgres, Shutdown};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// The migrated database that tests get copies of.
const TEMPLATE: &str = "migrated";
/// Maximum sessions of the pool of one database.
const POOL_SIZE: u32 = 8;

/// Started by the first test that needs it. Statics are never dropped: the server ends with the test process.
static SERVER: OnceCell<PrivatePostgres> = OnceCell::const_new();
/// The same server, with the template.
static MIGRATED: OnceCell<&'static PrivatePostgres> = OnceCell::const_new();

/// A database of one test; deleted on drop, which ends all sessions on it.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static PrivatePostgres,
    name: String,
    pool: PgPool,
}

impl TestDatabase {
    /// Creates a database with the product's schema.
    pub async fn create() -> Self {
        Self::with(migrated_server().await, &format!(" TEMPLATE {TEMPLATE}")).await
    }

    /// Creates a database without tables.
    pub async fn empty() -> Self {
        Self::with(server().await, "").await
    }

    async fn with(server: &'static PrivatePostgres, clause: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        administer(server, format!("CREATE DATABASE {name}{clause}")).await;
        let pool = PgPoolOptions::new().max_connections(POOL_SIZE).connect_lazy(&server.url(&name));
        Self { pool: pool.unwrap_or_else(|error| panic!("the server's own URL: {error}")), server, name }
    }

    /// The value of `DATABASE_URL`; the user is a superuser.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Sessions with the server's default settings. All clones share eight sessions.
    pub fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A server of one test, which may stop and start it.
#[derive(Debug)]
pub struct OwnServer {
    server: PrivatePostgres,
    pool: PgPool,
}

impl OwnServer {
    /// Starts a server with an empty database, in a temporary directory.
    pub async fn start() -> Self {
        let server = blocking(PrivatePostgres::temporary).await;
        let pool = PgPoolOptions::new().max_connections(POOL_SIZE).connect_lazy(&server.url("postgres"));
        Self { pool: pool.unwrap_or_else(|error| panic!("the server's own URL: {error}")), server }
    }

    /// The value of `DATABASE_URL`; the user is a superuser.
    pub fn url(&self) -> String {
        self.server.url("postgres")
    }

    /// The socket of the server, for a proxy.
    pub fn socket(&self) -> PathBuf {
        self.server.socket().unwrap_or_else(|| panic!("a temporary server listens on a socket"))
    }

    /// Sessions with the server's default settings.
    pub fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// Stops the server, waits for `pause`, and starts it again.
    pub async fn restart(mut self, how: Shutdown, pause: Duration) -> Self {
        blocking(move || {
            self.server.stop(how)?;
            std::thread::sleep(pause);
            self.server.start_again()?;
            Ok(self)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, PostgresError> + Send + 'static) -> T {
    match spawn_blocking(work).await.map_err(anyhow::Error::new).and_then(|done| Ok(done?)) {
        Ok(done) => done,
        Err(error) => panic!("tests need a private Postgres: {error:#}"),
    }
}

impl Drop for TestDatabase {
    /// Best effort: the rest is deleted with the server. Uses psql because a drop cannot await.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = self.server.psql("postgres").args(["--quiet", "--command", &statement]).output();
    }
}

async fn server() -> &'static PrivatePostgres {
    SERVER.get_or_init(async || blocking(PrivatePostgres::temporary).await).await
}

async fn migrated_server() -> &'static PrivatePostgres {
    MIGRATED
        .get_or_init(async || {
            let server = server().await;
            administer(server, format!("CREATE DATABASE {TEMPLATE}")).await;
            if let Err(error) = dce_core::schema::migrate(&server.url(TEMPLATE)).await {
                panic!("the template database cannot be migrated: {error}");
            }
            server
        })
        .await
}

async fn administer(server: &PrivatePostgres, statement: String) {
    let done = async {
        let mut connection = PgConnection::connect(&server.url("postgres")).await?;
        connection.execute(AssertSqlSafe(statement.clone())).await?;
        connection.close().await
    };
    if let Err(error) = done.await {
        panic!("{statement}: {error}");
    }
}
