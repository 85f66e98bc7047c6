//! The whole service as its users run it: API and workers as processes, a database of their own, the stand-in for DCE.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::database::TestDatabase;
use crate::process::{Running, binary, eventually};
use crate::scenario::{Scenario, ScenarioDir};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// How long an export of a test may take.
const EXPORT: Duration = Duration::from_secs(120);
/// The token that the workers are given; no test may find it anywhere but in DCE's environment.
pub const TOKEN: &str = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.the-token-of-the-tests-7f3a9c";

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// What DCE will do, and what it was asked for.
    pub scenario: ScenarioDir,
    /// The API.
    pub api: Running,
    /// The workers, in the order of their start.
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
    /// API and one worker over this scenario.
    ///
    /// # Panics
    /// If something does not start; the message shows its lines.
    pub async fn start(scenario: &Scenario) -> Self {
        let mut service = Self::api_only(scenario, &[]).await;
        service.add_worker(&[]).await;
        service
    }

    /// Only the API. `settings` are given to it and to all workers that follow.
    ///
    /// # Panics
    /// If it does not start; the message shows its lines.
    pub async fn api_only(scenario: &Scenario, settings: &[(&'static str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let service = Self::api_only_on(&database.url(), database.pool(), scenario, settings).await;
        Self { _database: Some(database), ..service }
    }

    /// Only the API, on a database of the caller's.
    ///
    /// # Panics
    /// If it does not start; the message shows its lines.
    pub async fn api_only_on(
        url: &str,
        pool: PgPool,
        scenario: &Scenario,
        settings: &[(&'static str, &str)],
    ) -> Self {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut environment = vec![
            ("DATABASE_URL", url.to_owned()),
            ("PORT", "0".to_owned()),
            ("RATE_LIMIT_PER_MINUTE", "0".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RENDER", "true".to_owned()), // no .env of whoever runs the tests
        ];
        environment.extend(settings.iter().cloned());
        let api = Running::start(&binary("dce-api"), &[], environment);
        let line = api.line(START, "api.listening").await;
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let base =
            format!("http://{}", line["address"].as_str().unwrap_or_else(|| panic!("{line} has no address")));
        Self {
            scenario: ScenarioDir::create(scenario),
            _database: None,
            url: url.to_owned(),
            pool,
            api,
            workers: Vec::new(),
            base,
            settings,
            work_dir: TempDir::new().unwrap_or_else(|error| panic!("a temporary directory: {error}")),
            client: reqwest::Client::new(),
        }
    }

    /// One more worker, with these settings besides the service's own. Returns when it has announced itself.
    ///
    /// # Panics
    /// If it does not start; the message shows its lines.
    pub async fn add_worker(&mut self, settings: &[(&'static str, &str)]) {
        self.add_worker_through(&binary("dce-worker"), &[], settings).await;
    }

    /// One more worker, started by this program with these arguments.
    ///
    /// # Panics
    /// If it does not start; the message shows its lines.
    pub async fn add_worker_through(
        &mut self,
        program: &Path,
        arguments: &[&str],
        settings: &[(&'static str, &str)],
    ) {
        let mut environment = vec![
            ("DATABASE_URL", self.url.clone()),
            ("DISCORD_TOKEN", TOKEN.to_owned()),
            ("DCE_BIN", self.scenario.dce_bin().display().to_string()),
            ("WORK_DIR", self.work_dir().display().to_string()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RENDER", "true".to_owned()),
        ];
        environment.extend(self.settings.iter().cloned());
        environment.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let worker = Running::start(program, arguments, environment);
        worker.line(START, "worker.started").await;
        self.workers.push(worker);
    }

    /// Where the API listens, as the beginning of a URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where DCE writes.
    pub fn work_dir(&self) -> PathBuf {
        self.work_dir.path().to_owned()
    }

    /// The database, past whatever a worker was given.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// For questions to the tables.
    pub fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// `POST /exports`: the whole answer.
    ///
    /// # Panics
    /// If there is no answer, or no JSON.
    pub async fn post(&self, body: &Value) -> (StatusCode, Value) {
        let sent = self.client.post(format!("{}/exports", self.base)).json(body).send().await;
        answer(sent).await
    }

    /// `POST /exports/{job_id}/cancel`: the whole answer.
    ///
    /// # Panics
    /// If there is no answer, or no JSON.
    pub async fn cancel(&self, job_id: &str) -> (StatusCode, Value) {
        answer(self.client.post(format!("{}/exports/{job_id}/cancel", self.base)).send().await).await
    }

    /// `POST /exports/{job_id}/retry`: the whole answer.
    ///
    /// # Panics
    /// If there is no answer, or no JSON.
    pub async fn retry(&self, job_id: &str) -> (StatusCode, Value) {
        answer(self.client.post(format!("{}/exports/{job_id}/retry", self.base)).send().await).await
    }

    /// `GET` of any path: the whole answer.
    ///
    /// # Panics
    /// If there is no answer, or no JSON.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.client.get(format!("{}{path}", self.base)).send().await).await
    }

    /// Submits an export and returns its `job_id`.
    ///
    /// # Panics
    /// If it is not accepted.
    pub async fn export(&self, body: &Value) -> String {
        let (status, answer) = self.post(body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        answer["job_id"].as_str().unwrap_or_else(|| panic!("{answer} has no job_id")).to_owned()
    }

    /// `GET /exports/{job_id}`.
    ///
    /// # Panics
    /// If it is not there.
    pub async fn find(&self, job_id: &str) -> Value {
        let (status, export) =
            answer(self.client.get(format!("{}/exports/{job_id}", self.base)).send().await).await;
        assert_eq!(status, StatusCode::OK, "{export}");
        export
    }

    /// The export once it has ended, whichever way.
    ///
    /// # Panics
    /// If it does not end within two minutes; the message shows the workers' lines.
    pub async fn ended(&self, job_id: &str) -> Value {
        self.when(job_id, "it ends", |export| !export["finished_at"].is_null()).await
    }

    /// The export once `condition` holds.
    ///
    /// # Panics
    /// If it does not within two minutes.
    pub async fn when(&self, job_id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(EXPORT, what, async || Some(self.find(job_id).await).filter(&condition)).await
    }

    /// Exports one channel from its beginning and waits for the end.
    pub async fn export_channel(&self, channel_id: &str) -> Value {
        let job_id = self.export(&serde_json::json!({ "channel_id": channel_id })).await;
        self.ended(&job_id).await
    }

    /// Everything that API and workers have logged so far.
    pub fn log(&self) -> Vec<String> {
        let workers = self.workers.iter().flat_map(Running::lines);
        self.api.lines().into_iter().chain(workers).collect()
    }
}

async fn answer(sent: reqwest::Result<reqwest::Response>) -> (StatusCode, Value) {
    let response = sent.unwrap_or_else(|error| panic!("no answer of the API: {error}"));
    let status = response.status();
    let body = response.json().await.unwrap_or_else(|error| panic!("the answer is no JSON: {error}"));
    (status, body)
}
