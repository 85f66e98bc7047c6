//! The system under test: the processes of the service, a Postgres of its own, the proxy in front of it, and a fake Discord.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use dce_local::{Launch, PostgresError, PrivatePostgres};
use dce_standin::scenario::{Scenario, ScenarioDir};
use dce_testkit::discord::FakeDiscord;
use dce_testkit::launch;
use dce_testkit::proxy::Proxy;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::spawn_blocking;

use crate::disk::Disk;
use crate::event_log::{EventLog, ViolationKind};
use crate::plan::Deployment;
use crate::supervisor::SupervisedProcess;

/// Name of the database, and `application_name` of this program's own sessions.
pub(crate) const DATABASE: &str = "chaos";
pub(crate) const OWN_SESSIONS: &str = "dce-chaos";
/// Few enough to occupy them all: the service needs 15 at most.
const MAX_CONNECTIONS: &str = "max_connections=40";
/// With these a crash of the server loses nothing; only a crash of the machine would.
const SETTINGS: [&str; 3] = [MAX_CONNECTIONS, "fsync=off", "shared_buffers=64MB"];
/// How often the processes are checked.
const POLL: Duration = Duration::from_millis(200);
const LOG_LEVEL: &str = "info,dce_worker=debug,dce_core=debug,dce_api=debug";

#[derive(Debug)]
pub(crate) struct SystemUnderTest {
    pub(crate) api: SupervisedProcess,
    pub(crate) workers: Vec<SupervisedProcess>,
    pub(crate) slots: u32,
    pub(crate) scenario: ScenarioDir,
    pub(crate) discord: FakeDiscord,
    /// The ids of the scenario's channels.
    pub(crate) channels: Vec<String>,
    pub(crate) proxy: Proxy,
    /// Directly to the server, past the proxy.
    pub(crate) pool: PgPool,
    pub(crate) postgres: Arc<Mutex<PrivatePostgres>>,
    pub(crate) log: EventLog,
    pub(crate) disk: Disk, // dropped after the processes, which write to it
    /// The database's time at `log.start()`.
    database_start: DateTime<Utc>,
}

impl SystemUnderTest {
    /// Starts everything with files below `directory`; the API migrates.
    pub(crate) async fn start(
        directory: &Path,
        scenario: &Scenario,
        deployment: &Deployment,
    ) -> anyhow::Result<Self> {
        let postgres = start_postgres(directory.join("postgres")).await?;
        let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).await?;
        connection.close().await?;
        let options: PgConnectOptions = postgres.url(DATABASE).parse()?;
        let options = options.application_name(OWN_SESSIONS);
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(2));
        let pool = pool.connect_lazy_with(options);
        let socket = postgres.socket().context("Postgres listens on no socket")?;
        let proxy = Proxy::start(socket).await?;

        let disk = Disk::prepare(&directory.join("work"))?;
        let channels = scenario.channels.keys().cloned().collect();
        let scenario = ScenarioDir::create(scenario);
        let discord = FakeDiscord::start(scenario.dir())?;
        // On a socket the server requires no password, so neither does it through the proxy.
        let url = format!("postgres://postgres@127.0.0.1:{}/{DATABASE}", proxy.port());
        let limit = deployment.max_parallel_runs.map(|limit| ("MAX_PARALLEL_RUNS", limit.to_string()));
        let with_common =
            |launch: Launch| launch::with(launch::with(launch, [("RUST_LOG", LOG_LEVEL)]), limit.clone());
        let api = SupervisedProcess::start(with_common(launch::api(&url)?))?;
        let worker = launch::worker(&url, &scenario, disk.path())?;
        let worker = launch::with(with_common(worker), worker_settings(deployment));
        let worker = launch::with(worker, [("DISCORD_API_URL", discord.url())]);
        let workers = (0..deployment.workers).map(|_| SupervisedProcess::start(worker.clone()));
        let workers = workers.collect::<anyhow::Result<_>>()?;

        let log = EventLog::begin();
        let database_start = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&pool).await?;
        Ok(Self {
            api,
            workers,
            slots: deployment.slots,
            scenario,
            discord,
            channels,
            proxy,
            pool,
            postgres: Arc::new(Mutex::new(postgres)),
            log,
            disk,
            database_start,
        })
    }

    /// The database's time at a moment.
    pub(crate) fn database_time(&self, at: Instant) -> DateTime<Utc> {
        let since = at.saturating_duration_since(self.log.start());
        self.database_start + TimeDelta::from_std(since).unwrap_or_default()
    }

    /// All processes, the API first.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &SupervisedProcess> {
        std::iter::once(&self.api).chain(&self.workers)
    }

    /// The address of the API; none while it is down.
    pub(crate) fn api_address(&self) -> Option<String> {
        self.api.announced()
    }

    /// Runs a blocking action on the server.
    pub(crate) async fn with_postgres(
        &self,
        act: impl FnOnce(&mut PrivatePostgres) -> Result<(), PostgresError> + Send + 'static,
    ) -> anyhow::Result<()> {
        let postgres = Arc::clone(&self.postgres);
        spawn_blocking(move || act(&mut postgres.lock().unwrap_or_else(PoisonError::into_inner))).await??;
        Ok(())
    }

    /// Restarts processes that ended by themselves, until dropped. One that was never ready may end: its platform would
    /// restart it, too. One that was ready must not.
    pub(crate) async fn restart_ended(&self) -> ! {
        loop {
            for supervised in self.processes() {
                let announced = supervised.announced();
                let Some(mut process) = supervised.try_lock() else { continue };
                if process.running.is_none() || process.is_running() {
                    continue;
                }
                let status = match &mut process.running {
                    Some(running) => running.child.wait(POLL).await.ok().flatten(),
                    None => None,
                };
                let what = format!("{} ended by itself: {status:?}", supervised.program().name());
                if announced.is_some() {
                    self.log.violation(ViolationKind::Misbehaved, what);
                } else {
                    self.log.note(format_args!("{what}, before it was ready"));
                }
                supervised.mark_down();
                process.keep_log();
                if let Err(error) = supervised.restart(&mut process) {
                    self.log.violation(ViolationKind::Misbehaved, format!("no restart: {error:#}"));
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn start_postgres(directory: std::path::PathBuf) -> anyhow::Result<PrivatePostgres> {
    Ok(spawn_blocking(move || PrivatePostgres::persistent_with(&directory, None, &SETTINGS)).await??)
}

fn worker_settings(deployment: &Deployment) -> Vec<(&'static str, String)> {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let mut settings = vec![
        ("WORKER_CONCURRENCY", deployment.slots.to_string()),
        ("STALL_TIMEOUT", seconds(deployment.stall_timeout)),
        ("SHUTDOWN_GRACE", seconds(deployment.shutdown_grace)),
    ];
    settings.extend(deployment.export_timeout.map(|timeout| ("EXPORT_TIMEOUT", seconds(timeout))));
    settings
}
