//! The service of one seed with everything around it: a Postgres of its own, the proxy in front of it, the processes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use dce_local::{PostgresError, PrivatePostgres};
use dce_testkit::proxy::Proxy;
use dce_testkit::scenario::{Scenario, ScenarioDir};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::spawn_blocking;

use crate::disk::Disk;
use crate::journal::{Breach, Journal};
use crate::place::{Place, Role};
use crate::plan::Fleet;

/// Name of the database, and of our own sessions on it.
pub(crate) const DATABASE: &str = "chaos";
pub(crate) const OURSELVES: &str = "dce-chaos";
/// Few enough to be taken all at once: the service needs 15 at most.
const MAX_CONNECTIONS: &str = "max_connections=40";
/// A crash of the server loses nothing with these; only one of the machine would.
const SETTINGS: [&str; 3] = [MAX_CONNECTIONS, "fsync=off", "shared_buffers=64MB"];
/// How often the places are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The service writes much less than this in a minute of tests.
const LOG_LEVEL: &str = "info,dce_worker=debug,dce_core=debug,dce_api=debug";

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) api: Place,
    pub(crate) workers: Vec<Place>,
    pub(crate) slots: u32,
    pub(crate) scenario: ScenarioDir,
    pub(crate) proxy: Proxy,
    /// Straight to the server.
    pub(crate) pool: PgPool,
    pub(crate) postgres: Arc<Mutex<PrivatePostgres>>,
    pub(crate) journal: Journal,
    pub(crate) disk: Disk, // after the processes, which write on it
    /// The database's time when ours was `journal.start()`.
    database_start: DateTime<Utc>,
}

impl World {
    /// Starts everything, with files below `directory`; the API migrates.
    pub(crate) async fn start(directory: &Path, scenario: &Scenario, fleet: &Fleet) -> anyhow::Result<Self> {
        let postgres = launch(directory.join("postgres")).await?;
        let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).await?;
        connection.close().await?;
        let options: PgConnectOptions = postgres.url(DATABASE).parse()?;
        let options = options.application_name(OURSELVES);
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(2));
        let pool = pool.connect_lazy_with(options);
        let socket = postgres.socket().context("Postgres listens on no socket")?;
        let proxy = Proxy::start(socket).await?;

        let disk = Disk::prepare(&directory.join("work"))?;
        let scenario = ScenarioDir::create(scenario);
        let common = [
            // On a socket the server asks for no password, whoever passes it on.
            ("DATABASE_URL", format!("postgres://postgres@127.0.0.1:{}/{DATABASE}", proxy.port())),
            ("LOG_FORMAT", "json".into()),
            ("RUST_LOG", LOG_LEVEL.into()),
            ("RENDER", "true".into()), // no .env of whoever runs this
        ];
        let with_limit = |mut environment: Vec<(&'static str, String)>| {
            let limit = fleet.max_parallel_runs.map(|limit| ("MAX_PARALLEL_RUNS", limit.to_string()));
            environment.extend(common.iter().cloned().chain(limit));
            environment
        };
        let api = with_limit(vec![("PORT", "0".into()), ("RATE_LIMIT_PER_MINUTE", "0".into())]);
        let api = Place::fill(Role::Api, api);
        let worker = with_limit(worker_environment(fleet, &scenario, disk.path()));
        let workers = (0..fleet.workers).map(|_| Place::fill(Role::Worker, worker.clone())).collect();

        let journal = Journal::begin();
        let database_start = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&pool).await?;
        Ok(Self {
            api,
            workers,
            slots: fleet.slots,
            scenario,
            proxy,
            pool,
            postgres: Arc::new(Mutex::new(postgres)),
            journal,
            disk,
            database_start,
        })
    }

    /// A moment as the database would tell it.
    pub(crate) fn database_time(&self, at: Instant) -> DateTime<Utc> {
        let since = at.saturating_duration_since(self.journal.start());
        self.database_start + TimeDelta::from_std(since).unwrap_or_default()
    }

    /// All places, the API's first.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.api).chain(&self.workers)
    }

    /// Where the API listens; none while it is away.
    pub(crate) fn api_address(&self) -> Option<String> {
        self.api.name()
    }

    /// Does something with the server, which takes its time.
    pub(crate) async fn with_postgres(
        &self,
        act: impl FnOnce(&mut PrivatePostgres) -> Result<(), PostgresError> + Send + 'static,
    ) -> anyhow::Result<()> {
        let postgres = Arc::clone(&self.postgres);
        spawn_blocking(move || act(&mut postgres.lock().unwrap_or_else(PoisonError::into_inner))).await??;
        Ok(())
    }

    /// Refills places whose process ended by itself, until dropped. One that never got ready may end: its platform
    /// starts it again, as is done here. One that was ready must not.
    pub(crate) async fn keep_filled(&self) -> ! {
        loop {
            for place in self.places() {
                let name = place.name();
                let Some(mut process) = place.try_lock() else { continue };
                let Some(running) = &mut process.running else { continue };
                if running.is_running() {
                    continue;
                }
                let status = running.ended(LOOK).await;
                let what = format!("{:?} ended by itself: {status:?}", place.role);
                if name.is_some() {
                    self.journal.violated(Breach::Misbehaved, what);
                } else {
                    self.journal.note(format_args!("{what}, before it was ready"));
                }
                place.is_down();
                process.empty();
                place.refill(&mut process);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn launch(directory: std::path::PathBuf) -> anyhow::Result<PrivatePostgres> {
    Ok(spawn_blocking(move || PrivatePostgres::persistent_with(&directory, None, &SETTINGS)).await??)
}

fn worker_environment(fleet: &Fleet, scenario: &ScenarioDir, disk: &Path) -> Vec<(&'static str, String)> {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let mut environment = vec![
        ("DISCORD_TOKEN", "the-stand-in-takes-any-token".into()),
        ("DCE_BIN", scenario.dce_bin().display().to_string()),
        ("WORK_DIR", disk.display().to_string()),
        ("WORKER_CONCURRENCY", fleet.slots.to_string()),
        ("STALL_TIMEOUT", seconds(fleet.stall_timeout)),
        ("SHUTDOWN_GRACE", seconds(fleet.shutdown_grace)),
    ];
    environment.extend(fleet.export_timeout.map(|timeout| ("EXPORT_TIMEOUT", seconds(timeout))));
    environment
}
