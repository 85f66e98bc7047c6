//! A client of the service as its users are: patient while it is away, and strict about its answers.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use crate::journal::Breach;
use crate::world::World;

/// How long a client goes on trying. Longer than any outage.
const PATIENCE: Duration = Duration::from_secs(90);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// The service answers in less, whatever happens to the database.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    world: &'a World,
    http: reqwest::Client,
}

/// An answer that is no sign of an outage.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl<'a> Client<'a> {
    pub(crate) fn new(world: &'a World) -> anyhow::Result<Self> {
        Ok(Self { world, http: reqwest::Client::builder().timeout(ANSWER_LIMIT).build()? })
    }

    /// `POST /exports`, again and again until it is accepted; its `job_id`. An answer that was lost leaves an export
    /// that nobody asks for again.
    pub(crate) async fn export(&self, body: &Value) -> Option<String> {
        let answer = self.ask("POST", "/exports", Some(body)).await?;
        let job_id = answer.body["job_id"].as_str().map(str::to_owned);
        if answer.status != StatusCode::ACCEPTED || job_id.is_none() {
            let what = format!("POST /exports: {} {}", answer.status, answer.body);
            self.world.journal.violated(Breach::Misbehaved, what);
            return None;
        }
        job_id
    }

    /// `POST /exports/{job_id}/cancel` or `/retry`: true if it was accepted, false if it made no sense any more.
    pub(crate) async fn control(&self, job_id: &str, action: &str) -> bool {
        let path = format!("/exports/{job_id}/{action}");
        let Some(answer) = self.ask("POST", &path, None).await else { return false };
        match answer.status {
            StatusCode::ACCEPTED => true,
            StatusCode::CONFLICT => false,
            other => {
                let what = format!("POST {path}: {other} {}", answer.body);
                self.world.journal.violated(Breach::Misbehaved, what);
                false
            }
        }
    }

    /// `GET /exports/{job_id}`.
    pub(crate) async fn find(&self, job_id: &str) -> Option<Value> {
        let answer = self.ask("GET", &format!("/exports/{job_id}"), None).await?;
        if answer.status != StatusCode::OK {
            let what = format!("GET of an export that was accepted: {}", answer.status);
            self.world.journal.violated(Breach::Lost, what);
            return None;
        }
        Some(answer.body)
    }

    /// Sends a request until it has an answer that is no sign of an outage.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(answer) = self.try_once(method, path, body).await {
                return Some(answer);
            }
            sleep(PAUSE).await;
        }
        self.world.journal.violated(Breach::Stuck, format!("{method} {path}: no answer within {PATIENCE:?}"));
        None
    }

    async fn try_once(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let url = format!("http://{}{path}", self.world.api_address()?);
        let mut request = if method == "GET" { self.http.get(url) } else { self.http.post(url) };
        if let Some(body) = body {
            request = request.json(body);
        }
        match request.send().await {
            Ok(response) => self.judge(method, path, response).await,
            Err(error) if error.is_timeout() && self.world.api_address().is_some() => {
                self.world.journal.note(format_args!("{method} {path}: no answer in time"));
                None
            }
            Err(_) => None, // the API is away
        }
    }

    /// 503 with `Retry-After` is an outage, every other answer is one. Errors say what is wrong in a problem document.
    async fn judge(&self, method: &str, path: &str, response: Response) -> Option<Answer> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let is_problem = header(CONTENT_TYPE) == Some("application/problem+json");
        let says_when = header(RETRY_AFTER).is_some();
        let body: Value = response.json().await.ok()?;
        let is_away = status == StatusCode::SERVICE_UNAVAILABLE;
        if (status.is_client_error() || status.is_server_error()) && !is_problem
            || status.is_server_error() && !is_away
            || is_away && !says_when
        {
            let what = format!("{method} {path}: {status} {body}");
            self.world.journal.violated(Breach::Misbehaved, what);
        }
        (!status.is_server_error()).then_some(Answer { status, body })
    }
}
