//! The whole service under test: API and workers as processes, a database of their own, the stand-in for DCE, a fake
//! Discord. Failures panic; the message shows the last lines of the process or the answer of the API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dce_local::loopback_client;
use dce_standin::scenario::{Scenario, ScenarioDir};
use reqwest::StatusCode;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::discord::FakeDiscord;
use crate::launch;
use crate::process::{Running, binary, eventually};

/// Time allowed for a start on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Time allowed for an export.
const EXPORT: Duration = Duration::from_secs(120);
/// The workers' token; no test may find it anywhere but in DCE's environment.
pub const TOKEN: &str = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.the-token-of-the-tests-7f3a9c";

#[derive(Debug)]
pub struct Service {
    /// Scripts the stand-in and records its calls.
    pub scenario: ScenarioDir,
    /// Serves the scenario's channels to the workers and to the stand-in.
    pub discord: FakeDiscord,
    pub api: Running,
    /// In the order of their start.
    pub workers: Vec<Running>,
    _database: Option<TestDatabase>,
    url: String,
    pool: PgPool,
    base: String,
    settings: Vec<(&'static str, String)>,
    work_dir: TempDir,
    client: reqwest::Client,
}

impl Service {
    /// Starts API and one worker with this scenario.
    pub async fn start(scenario: &Scenario) -> Self {
        let mut service = Self::api_only(scenario, &[]).await;
        service.add_worker(&[]).await;
        service
    }

    /// Starts only the API. `settings` apply to it and to all later workers.
    pub async fn api_only(scenario: &Scenario, settings: &[(&'static str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let service = Self::api_only_on(&database.url(), database.pool(), scenario, settings).await;
        Self { _database: Some(database), ..service }
    }

    /// Starts only the API, on the caller's database.
    pub async fn api_only_on(
        url: &str,
        pool: PgPool,
        scenario: &Scenario,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let launch = launch::api(url).unwrap_or_else(|error| panic!("{error}"));
        let (api, address) = Running::launch(&launch::with(launch, settings.iter().cloned()), START).await;
        let scenario = ScenarioDir::create(scenario);
        let discord = FakeDiscord::start(scenario.dir())
            .unwrap_or_else(|error| panic!("the fake Discord cannot be started: {error}"));
        Self {
            scenario,
            discord,
            _database: None,
            url: url.to_owned(),
            pool,
            api,
            workers: Vec::new(),
            base: format!("http://{address}"),
            settings,
            work_dir: TempDir::new().unwrap_or_else(|error| panic!("a temporary directory: {error}")),
            client: loopback_client().build().unwrap_or_else(|error| panic!("a client: {error}")),
        }
    }

    /// Starts one more worker with these settings besides the service's own, and waits until it is ready.
    pub async fn add_worker(&mut self, settings: &[(&'static str, &str)]) {
        self.add_worker_through(&binary("dce-worker"), &[], settings).await;
    }

    /// Starts one more worker through this program with these arguments.
    pub async fn add_worker_through(
        &mut self,
        program: &Path,
        arguments: &[&str],
        settings: &[(&'static str, &str)],
    ) {
        let launch = launch::worker(&self.url, &self.scenario, self.work_dir.path());
        let mut launch = launch.unwrap_or_else(|error| panic!("{error}"));
        launch.executable = program.to_owned();
        launch.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let launch = launch::with(launch, [("DISCORD_TOKEN", TOKEN)]);
        let launch = launch::with(launch, [("DISCORD_API_URL", self.discord.url())]);
        let launch = launch::with(launch, self.settings.iter().cloned());
        let (worker, _) = Running::launch(&launch::with(launch, settings.iter().copied()), START).await;
        self.workers.push(worker);
    }

    /// The API's base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The folder in which DCE writes.
    pub fn work_dir(&self) -> PathBuf {
        self.work_dir.path().to_owned()
    }

    /// The URL of the database, also where a worker was given another one.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Direct access to the tables.
    pub fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// `POST /exports`: status and body.
    pub async fn post(&self, body: &Value) -> (StatusCode, Value) {
        let sent = self.client.post(format!("{}/exports", self.base)).json(body).send().await;
        answer(sent).await
    }

    /// `POST /exports/{job_id}/cancel`: status and body.
    pub async fn cancel(&self, job_id: &str) -> (StatusCode, Value) {
        answer(self.client.post(format!("{}/exports/{job_id}/cancel", self.base)).send().await).await
    }

    /// `POST /exports/{job_id}/retry`: status and body.
    pub async fn retry(&self, job_id: &str) -> (StatusCode, Value) {
        answer(self.client.post(format!("{}/exports/{job_id}/retry", self.base)).send().await).await
    }

    /// `GET` of any path: status and body.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.client.get(format!("{}{path}", self.base)).send().await).await
    }

    /// Submits an export and returns its `job_id`.
    pub async fn export(&self, body: &Value) -> String {
        let (status, answer) = self.post(body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["job_id"].as_str().unwrap_or_else(|| panic!("{answer} has no job_id")).to_owned()
    }

    /// `GET /exports/{job_id}`.
    pub async fn find(&self, job_id: &str) -> Value {
        let (status, export) =
            answer(self.client.get(format!("{}/exports/{job_id}", self.base)).send().await).await;
        assert_eq!(status, StatusCode::OK, "{export}");
        export
    }

    /// Waits for the end of the export and returns it.
    pub async fn ended(&self, job_id: &str) -> Value {
        self.when(job_id, "it ends", |export| !export["finished_at"].is_null()).await
    }

    /// Waits until `condition` holds for the export and returns it.
    pub async fn when(&self, job_id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(EXPORT, what, async || Some(self.find(job_id).await).filter(&condition)).await
    }

    /// Exports one channel from its beginning and waits for the end.
    pub async fn export_channel(&self, channel_id: &str) -> Value {
        let job_id = self.export(&serde_json::json!({ "channel_id": channel_id })).await;
        self.ended(&job_id).await
    }

    /// All log lines of API and workers so far.
    pub fn log(&self) -> Vec<String> {
        let workers = self.workers.iter().flat_map(Running::lines);
        self.api.lines().into_iter().chain(workers).collect()
    }
}

async fn answer(sent: reqwest::Result<reqwest::Response>) -> (StatusCode, Value) {
    let response = sent.unwrap_or_else(|error| panic!("no answer of the API: {error}"));
    let status = response.status();
    let body = response.json().await.unwrap_or_else(|error| panic!("the answer is not JSON: {error}"));
    (status, body)
}
