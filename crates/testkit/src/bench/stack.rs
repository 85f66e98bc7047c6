//! The service that is measured: API, worker, stand-in, and a database of a durable Postgres.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dce_local::PrivatePostgres;
use dce_testkit::process::{Running, binary};
use dce_testkit::scenario::{Scenario, ScenarioDir};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use crate::machine::first_value;

/// The database's name.
pub(crate) const DATABASE: &str = "bench";
/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any measurement takes.
const LONGEST_EXPORT: Duration = Duration::from_secs(600);

/// What is running.
pub(crate) struct Stack<'a> {
    worker: Running, // the processes before what they use
    second: Option<Running>,
    api: Running,
    pub(crate) postgres: &'a PrivatePostgres,
    pub(crate) pool: PgPool,
    pub(crate) scenario: ScenarioDir,
    /// For the files of DCE and of `psql`.
    pub(crate) directory: PathBuf,
    base: String,
    client: reqwest::Client,
}

/// An export that completed.
pub(crate) struct Completed {
    /// From the request until a client that looks every few milliseconds saw the end.
    pub(crate) seen: Duration,
    /// From the claim to the end, by the database's clock.
    pub(crate) attempt: Duration,
    pub(crate) inserted: i64,
}

impl<'a> Stack<'a> {
    /// Starts everything, with files below `directory`; the API migrates.
    pub(crate) async fn start(
        postgres: &'a PrivatePostgres,
        directory: &Path,
        scenario: &Scenario,
    ) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).await?;
        connection.close().await?;
        let environment = [
            ("DATABASE_URL", postgres.url(DATABASE)),
            ("PORT", "0".into()),
            ("RATE_LIMIT_PER_MINUTE", "0".into()),
            ("LOG_FORMAT", "json".into()),
            ("RENDER", "true".into()), // no .env of whoever measures
        ];
        let api = Running::start(&binary("dce-api"), &[], environment);
        let line: Value = serde_json::from_str(&api.line(PATIENCE, "api.listening").await)?;
        let address = line["address"].as_str().context("api.listening has no address")?;
        let scenario = ScenarioDir::create(scenario);
        let worker = worker(postgres, &scenario, directory).await;
        Ok(Self {
            postgres,
            pool: PgPool::connect(&postgres.url(DATABASE)).await?,
            base: format!("http://{address}"),
            client: reqwest::Client::new(),
            scenario,
            directory: directory.to_owned(),
            worker,
            second: None,
            api,
        })
    }

    /// Ends the worker in order, so that no DCE of it writes any more.
    pub(crate) async fn stop_worker(&mut self) {
        self.worker.signal(Signal::SIGTERM);
        self.worker.wait(PATIENCE).await;
    }

    /// A new worker in the place of the old one: its memory is of what comes now.
    pub(crate) async fn replace_worker(&mut self) {
        self.stop_worker().await;
        self.worker = worker(self.postgres, &self.scenario, &self.directory).await;
    }

    /// One more worker.
    pub(crate) async fn second_worker(&mut self) {
        self.second = Some(worker(self.postgres, &self.scenario, &self.directory).await);
    }

    /// Ends it in order.
    pub(crate) async fn end_second_worker(&mut self) {
        if let Some(mut worker) = self.second.take() {
            worker.signal(Signal::SIGTERM);
            worker.wait(PATIENCE).await;
        }
    }

    /// To the first worker.
    pub(crate) fn signal_worker(&self, signal: Signal) {
        self.worker.signal(signal);
    }

    /// The database.
    pub(crate) fn url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// The most memory that the worker ever had, without DCE, in KiB.
    pub(crate) fn worker_peak(&self) -> anyhow::Result<u32> {
        let peak = first_value(&format!("/proc/{}/status", self.worker.pid()), "VmHWM");
        Ok(peak.context("the worker has no VmHWM")?.trim_end_matches(" kB").parse()?)
    }

    /// The most memory that the API ever had, in KiB.
    pub(crate) fn api_peak(&self) -> anyhow::Result<u32> {
        let peak = first_value(&format!("/proc/{}/status", self.api.pid()), "VmHWM");
        Ok(peak.context("the API has no VmHWM")?.trim_end_matches(" kB").parse()?)
    }

    /// A GET of the API.
    pub(crate) fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    /// Runs statements in sessions that hold no transaction.
    pub(crate) async fn execute(&self, statements: &[&'static str]) -> anyhow::Result<()> {
        for statement in statements {
            self.pool.execute(*statement).await.with_context(|| (*statement).to_owned())?;
        }
        Ok(())
    }

    /// `POST /exports` of a channel, up to the answer; returns the `job_id`.
    pub(crate) async fn submit(&self, channel: &str) -> anyhow::Result<String> {
        let request =
            self.client.post(format!("{}/exports", self.base)).json(&json!({ "channel_id": channel }));
        let response = request.send().await?;
        let (status, answer) = (response.status(), response.json::<Value>().await?);
        ensure!(status == reqwest::StatusCode::ACCEPTED, "POST /exports: {status} {answer}");
        Ok(answer["job_id"].as_str().context("no job_id")?.to_owned())
    }

    /// `GET` of any path: how long the whole answer took, and the answer.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<(Duration, Value)> {
        let start = Instant::now();
        let response = self.client.get(format!("{}{path}", self.base)).send().await?;
        let body = response.error_for_status()?.bytes().await?;
        Ok((start.elapsed(), serde_json::from_slice(&body)?))
    }

    /// `GET /exports/{job_id}`.
    pub(crate) async fn find(&self, job_id: &str) -> anyhow::Result<Value> {
        let response = self.client.get(format!("{}/exports/{job_id}", self.base)).send().await?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// Exports a channel, looking at it every `look` until it has ended.
    pub(crate) async fn export(&self, channel: &str, look: Duration) -> anyhow::Result<Completed> {
        let start = Instant::now();
        let job_id = self.submit(channel).await?;
        self.completed(&job_id, start, look).await
    }

    /// `POST /exports/{job_id}/cancel`.
    pub(crate) async fn cancel(&self, job_id: &str) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}/exports/{job_id}/cancel", self.base));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits for the end of an export that began at `start`, and says how long it took.
    pub(crate) async fn ended(
        &self,
        job_id: &str,
        start: Instant,
        look: Duration,
    ) -> anyhow::Result<Duration> {
        let export = loop {
            let export = self.find(job_id).await?;
            if !export["finished_at"].is_null() {
                break export;
            }
            ensure!(start.elapsed() < LONGEST_EXPORT, "the export does not end: {export}");
            tokio::time::sleep(look).await;
        };
        ensure!(export["status"] == "completed", "the export has failed: {export}");
        Ok(start.elapsed())
    }

    /// The same, of an export that needs one attempt.
    pub(crate) async fn completed(
        &self,
        job_id: &str,
        start: Instant,
        look: Duration,
    ) -> anyhow::Result<Completed> {
        let seen = self.ended(job_id, start, look).await?;
        let (attempt, inserted): (f64, i64) = sqlx::query_as(
            "SELECT extract(epoch FROM a.ended_at - a.started_at)::float8, r.inserted_count
               FROM export_channels r JOIN export_attempts a ON a.run_id = r.id WHERE r.job_id = $1::uuid",
        )
        .bind(job_id)
        .fetch_one(&self.pool)
        .await?;
        Ok(Completed { seen, attempt: Duration::from_secs_f64(attempt), inserted })
    }
}

async fn worker(postgres: &PrivatePostgres, scenario: &ScenarioDir, directory: &Path) -> Running {
    let environment = [
        ("DATABASE_URL", postgres.url(DATABASE)),
        ("DISCORD_TOKEN", "the-stand-in-takes-any-token".into()),
        ("DCE_BIN", scenario.dce_bin().display().to_string()),
        ("WORK_DIR", directory.join("worker").display().to_string()),
        ("LOG_FORMAT", "json".into()),
        ("RENDER", "true".into()),
    ];
    let worker = Running::start(&binary("dce-worker"), &[], environment);
    worker.line(PATIENCE, "worker.started").await;
    worker
}
