//! A database per test, on one private server per test process.

use std::sync::atomic::{AtomicU32, Ordering};

use dce_local::PrivatePostgres;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// The migrated database that tests get a copy of.
const TEMPLATE: &str = "migrated";
/// Sessions that the pool of one database opens at most.
const POOL_SIZE: u32 = 8;

/// Started by the first test that needs it. Statics are never dropped: its tether stops it when the process ends.
static SERVER: OnceCell<PrivatePostgres> = OnceCell::const_new();
/// The same server, once it has the template.
static MIGRATED: OnceCell<&'static PrivatePostgres> = OnceCell::const_new();

/// A database that one test has for itself; deleted on drop, which ends all sessions on it.
#[derive(Debug)]
pub struct TestDatabase {
    server: &'static PrivatePostgres,
    name: String,
    pool: PgPool,
}

impl TestDatabase {
    /// With the product's schema.
    ///
    /// # Panics
    /// If this machine has no Postgres (the message says what to install) or the migrations fail.
    pub async fn create() -> Self {
        Self::with(migrated_server().await, &format!(" TEMPLATE {TEMPLATE}")).await
    }

    /// Without any tables.
    ///
    /// # Panics
    /// If this machine has no Postgres; the message says what to install.
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

    /// For `DATABASE_URL`; the user is a superuser.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Sessions with the server's default settings. All clones share at most eight of them.
    pub fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    /// Best effort: what stays goes with the server. Through psql, as a drop cannot await.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let _ = self.server.psql("postgres").args(["--quiet", "--command", &statement]).output();
    }
}

async fn server() -> &'static PrivatePostgres {
    SERVER
        .get_or_init(async || {
            let started = spawn_blocking(PrivatePostgres::temporary).await;
            match started.map_err(anyhow::Error::new).and_then(|started| Ok(started?)) {
                Ok(server) => server,
                Err(error) => panic!("tests need a Postgres of their own: {error:#}"),
            }
        })
        .await
}

async fn migrated_server() -> &'static PrivatePostgres {
    MIGRATED
        .get_or_init(async || {
            let server = server().await;
            administer(server, format!("CREATE DATABASE {TEMPLATE}")).await;
            if let Err(error) = dce_core::db::migrate(&server.url(TEMPLATE)).await {
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
