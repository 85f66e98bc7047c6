//! The measured service: API, workers, stand-in, a fake Discord, and a database on a durable Postgres.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dce_local::{Launch, PrivatePostgres, ServiceProcess, loopback_client};
use dce_standin::scenario::{Scenario, ScenarioDir};
use dce_testkit::discord::FakeDiscord;
use dce_testkit::launch;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use crate::machine::first_value;

/// Name of the database.
pub(crate) const DATABASE: &str = "bench";
/// Time allowed for the start or the end of a process.
const PROCESS_LIMIT: Duration = Duration::from_secs(60);
/// Longer than any measurement takes.
const EXPORT_LIMIT: Duration = Duration::from_secs(600);

pub(crate) struct MeasuredService<'a> {
    worker: ServiceProcess, // the processes before their database and files, for the order of drops
    second_worker: Option<ServiceProcess>,
    api: ServiceProcess,
    pub(crate) postgres: &'a PrivatePostgres,
    pub(crate) pool: PgPool,
    pub(crate) scenario: ScenarioDir,
    discord: FakeDiscord,
    /// For files of DCE and `psql`.
    pub(crate) directory: PathBuf,
    base: String,
    client: reqwest::Client,
}

pub(crate) struct Completed {
    /// From the request until a client that polls every few milliseconds saw the end.
    pub(crate) seen: Duration,
    /// From the claim to the end, by the database's clock.
    pub(crate) attempt: Duration,
    pub(crate) inserted: i64,
}

impl<'a> MeasuredService<'a> {
    /// Starts everything with files below `directory`; the API migrates.
    pub(crate) async fn start(
        postgres: &'a PrivatePostgres,
        directory: &Path,
        scenario: &Scenario,
    ) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {DATABASE}"))).await?;
        connection.close().await?;
        let url = postgres.url(DATABASE);
        let mut api = launch::api(&url)?.start()?;
        let address = api.ready(PROCESS_LIMIT).await?;
        let scenario = ScenarioDir::create(scenario);
        let discord = FakeDiscord::start(scenario.dir())?;
        let worker = start(&worker_launch(&url, &scenario, &discord, directory)?).await?;
        Ok(Self {
            postgres,
            pool: PgPool::connect(&postgres.url(DATABASE)).await?,
            base: format!("http://{address}"),
            client: loopback_client().build()?,
            scenario,
            discord,
            directory: directory.to_owned(),
            worker,
            second_worker: None,
            api,
        })
    }

    /// Ends the worker in order, so that no DCE of it writes any more.
    pub(crate) async fn stop_worker(&mut self) -> anyhow::Result<()> {
        stop(&mut self.worker).await
    }

    /// Replaces the worker, so that its peak memory is that of the next measurements.
    pub(crate) async fn replace_worker(&mut self) -> anyhow::Result<()> {
        self.stop_worker().await?;
        self.worker = start(&self.worker_launch()?).await?;
        Ok(())
    }

    pub(crate) async fn start_second_worker(&mut self) -> anyhow::Result<()> {
        self.second_worker = Some(start(&self.worker_launch()?).await?);
        Ok(())
    }

    pub(crate) async fn stop_second_worker(&mut self) -> anyhow::Result<()> {
        match self.second_worker.take() {
            Some(mut worker) => stop(&mut worker).await,
            None => Ok(()),
        }
    }

    /// Sends SIGKILL to the first worker.
    pub(crate) fn kill_worker(&self) -> anyhow::Result<()> {
        Ok(self.worker.child.signal(Signal::SIGKILL)?)
    }

    fn worker_launch(&self) -> anyhow::Result<Launch> {
        worker_launch(&self.url(), &self.scenario, &self.discord, &self.directory)
    }

    /// The URL of the database.
    pub(crate) fn url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// The peak memory of the worker without DCE, in KiB.
    pub(crate) fn worker_peak(&self) -> anyhow::Result<u32> {
        peak_memory(&self.worker)
    }

    /// The peak memory of the API, in KiB.
    pub(crate) fn api_peak(&self) -> anyhow::Result<u32> {
        peak_memory(&self.api)
    }

    /// Deletes all messages; a checkpoint keeps that work out of the next measurement.
    pub(crate) async fn clear_archive(&self) -> anyhow::Result<()> {
        self.execute(&["TRUNCATE messages, channels", "CHECKPOINT"]).await
    }

    /// A `GET` request to the API, not sent yet.
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

    /// `POST /exports` of a channel; returns the `job_id`.
    pub(crate) async fn submit(&self, channel: &str) -> anyhow::Result<String> {
        let request =
            self.client.post(format!("{}/exports", self.base)).json(&json!({ "channel_id": channel }));
        let response = request.send().await?;
        let (status, answer) = (response.status(), response.json::<Value>().await?);
        ensure!(status == reqwest::StatusCode::ACCEPTED, "POST /exports: {status} {answer}");
        Ok(answer["job_id"].as_str().context("no job_id")?.to_owned())
    }

    /// Submits an export and waits for its first messages; returns the `job_id` and the time of the request.
    pub(crate) async fn submit_and_begin(
        &self,
        channel: &str,
        poll: Duration,
    ) -> anyhow::Result<(String, Instant)> {
        let start = Instant::now();
        let job_id = self.submit(channel).await?;
        while self.find(&job_id).await?["message_count"].as_i64().unwrap_or(0) == 0 {
            ensure!(start.elapsed() < PROCESS_LIMIT, "the export does not begin");
            tokio::time::sleep(poll).await;
        }
        Ok((job_id, start))
    }

    /// `GET` of any path: the time of the whole answer, and the answer.
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

    /// Exports a channel, polling every `poll` until it has ended.
    pub(crate) async fn export(&self, channel: &str, poll: Duration) -> anyhow::Result<Completed> {
        let start = Instant::now();
        let job_id = self.submit(channel).await?;
        self.completed(&job_id, start, poll).await
    }

    /// `POST /exports/{job_id}/cancel`.
    pub(crate) async fn cancel(&self, job_id: &str) -> anyhow::Result<()> {
        let request = self.client.post(format!("{}/exports/{job_id}/cancel", self.base));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Waits for the end of an export that began at `start`; returns how long it took.
    pub(crate) async fn ended(
        &self,
        job_id: &str,
        start: Instant,
        poll: Duration,
    ) -> anyhow::Result<Duration> {
        let export = loop {
            let export = self.find(job_id).await?;
            if !export["finished_at"].is_null() {
                break export;
            }
            ensure!(start.elapsed() < EXPORT_LIMIT, "the export does not end: {export}");
            tokio::time::sleep(poll).await;
        };
        ensure!(export["status"] == "completed", "the export has failed: {export}");
        Ok(start.elapsed())
    }

    /// Waits for the end of an export that needs one attempt.
    pub(crate) async fn completed(
        &self,
        job_id: &str,
        start: Instant,
        poll: Duration,
    ) -> anyhow::Result<Completed> {
        let seen = self.ended(job_id, start, poll).await?;
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

fn worker_launch(
    url: &str,
    scenario: &ScenarioDir,
    discord: &FakeDiscord,
    directory: &Path,
) -> anyhow::Result<Launch> {
    let launch = launch::worker(url, scenario, &directory.join("worker"))?;
    Ok(launch::with(launch, [("DISCORD_API_URL", discord.url())]))
}

async fn start(launch: &Launch) -> anyhow::Result<ServiceProcess> {
    let mut process = launch.start()?;
    process.ready(PROCESS_LIMIT).await?;
    Ok(process)
}

/// Ends a process in order; one that was killed has ended already.
async fn stop(process: &mut ServiceProcess) -> anyhow::Result<()> {
    process.stop(PROCESS_LIMIT).await?.context("a process does not end after SIGTERM")?;
    Ok(())
}

/// The peak of a process's resident memory, in KiB.
fn peak_memory(process: &ServiceProcess) -> anyhow::Result<u32> {
    let peak = first_value(&format!("/proc/{}/status", process.child.pid()), "VmHWM");
    Ok(peak.context("a process has no VmHWM")?.trim_end_matches(" kB").parse()?)
}
