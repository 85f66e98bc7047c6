//! A client that retries during outages and checks every answer.

use std::time::{Duration, Instant};

use dce_local::loopback_client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use crate::event_log::ViolationKind;
use crate::system::SystemUnderTest;

/// How long a request is retried. Longer than any outage.
const RETRY_LIMIT: Duration = Duration::from_secs(90);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// The service must answer faster, whatever happens to the database.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Client<'a> {
    system: &'a SystemUnderTest,
    http: reqwest::Client,
}

/// An answer that does not indicate an outage.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl<'a> Client<'a> {
    pub(crate) fn new(system: &'a SystemUnderTest) -> anyhow::Result<Self> {
        Ok(Self { system, http: loopback_client().timeout(ANSWER_LIMIT).build()? })
    }

    /// `POST /exports`, retried until it is accepted; returns the `job_id`. A lost answer leaves an export that no client
    /// follows.
    pub(crate) async fn export(&self, body: &Value) -> Option<String> {
        let answer = self.ask("POST", "/exports", Some(body)).await?;
        let job_id = answer.body["job_id"].as_str().map(str::to_owned);
        if answer.status != StatusCode::ACCEPTED || job_id.is_none() {
            let what = format!("POST /exports: {} {}", answer.status, answer.body);
            self.system.log.violation(ViolationKind::Misbehaved, what);
            return None;
        }
        job_id
    }

    /// `POST /exports/{job_id}/cancel` or `/retry`: true if it was accepted, false on a conflict with the export's state.
    pub(crate) async fn control(&self, job_id: &str, action: &str) -> bool {
        let path = format!("/exports/{job_id}/{action}");
        let Some(answer) = self.ask("POST", &path, None).await else { return false };
        match answer.status {
            StatusCode::ACCEPTED => true,
            StatusCode::CONFLICT => false,
            other => {
                let what = format!("POST {path}: {other} {}", answer.body);
                self.system.log.violation(ViolationKind::Misbehaved, what);
                false
            }
        }
    }

    /// `GET /exports/{job_id}`.
    pub(crate) async fn find(&self, job_id: &str) -> Option<Value> {
        let answer = self.ask("GET", &format!("/exports/{job_id}"), None).await?;
        if answer.status != StatusCode::OK {
            let what = format!("GET of an accepted export: {}", answer.status);
            self.system.log.violation(ViolationKind::Lost, what);
            return None;
        }
        Some(answer.body)
    }

    /// Retries a request until an answer does not indicate an outage.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let start = Instant::now();
        while start.elapsed() < RETRY_LIMIT {
            if let Some(answer) = self.try_once(method, path, body).await {
                return Some(answer);
            }
            sleep(PAUSE).await;
        }
        self.system
            .log
            .violation(ViolationKind::Stuck, format!("{method} {path}: no answer within {RETRY_LIMIT:?}"));
        None
    }

    async fn try_once(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let url = format!("http://{}{path}", self.system.api_address()?);
        let mut request = if method == "GET" { self.http.get(url) } else { self.http.post(url) };
        if let Some(body) = body {
            request = request.json(body);
        }
        match request.send().await {
            Ok(response) => self.check_answer(method, path, response).await,
            Err(error) if error.is_timeout() && self.system.api_address().is_some() => {
                self.system.log.note(format_args!("{method} {path}: no answer in time"));
                None
            }
            Err(_) => None, // the API is down
        }
    }

    /// Treats 503 with `Retry-After` as an outage. Every error must be a problem document.
    async fn check_answer(&self, method: &str, path: &str, response: Response) -> Option<Answer> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let is_problem = header(CONTENT_TYPE) == Some("application/problem+json");
        let has_retry_after = header(RETRY_AFTER).is_some();
        let body: Value = response.json().await.ok()?;
        let is_outage = status == StatusCode::SERVICE_UNAVAILABLE;
        if (status.is_client_error() || status.is_server_error()) && !is_problem
            || status.is_server_error() && !is_outage
            || is_outage && !has_retry_after
        {
            let what = format!("{method} {path}: {status} {body}");
            self.system.log.violation(ViolationKind::Misbehaved, what);
        }
        (!status.is_server_error()).then_some(Answer { status, body })
    }
}
