//! The service's HTTP API, as a client sees it.

use anyhow::{Context, bail};
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::json;

/// An API on this machine.
pub(crate) struct Api {
    client: Client,
    /// Without a slash at its end.
    pub(crate) url: String,
}

/// What came of a request for an export.
#[derive(Deserialize)]
pub(crate) struct Accepted {
    pub(crate) job_id: String,
}

/// How an export stands.
#[derive(Deserialize)]
pub(crate) struct Export {
    pub(crate) status: String,
    pub(crate) message_count: u64,
    pub(crate) inserted_count: u64,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) error: Option<Failure>,
}

impl Export {
    pub(crate) fn is_over(&self) -> bool {
        matches!(&*self.status, "completed" | "failed" | "cancelled")
    }
}

/// Why an export failed.
#[derive(Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) action: String,
}

impl Api {
    pub(crate) fn new(port: u16) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().build()?; // a proxy has no business on loopback
        Ok(Self { client, url: format!("http://127.0.0.1:{port}") })
    }

    pub(crate) async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|response| response.status().is_success())
    }

    pub(crate) async fn submit(&self, channel_id: &str) -> anyhow::Result<Accepted> {
        let body = json!({ "channel_id": channel_id });
        let request = self.client.post(format!("{}/exports", self.url)).json(&body);
        read(request.send().await).await.context("POST /exports")
    }

    pub(crate) async fn export(&self, job_id: &str) -> anyhow::Result<Export> {
        let request = self.client.get(format!("{}/exports/{job_id}", self.url));
        read(request.send().await).await.with_context(|| format!("GET /exports/{job_id}"))
    }
}

/// The body of a good answer, or the API's own words.
async fn read<T: serde::de::DeserializeOwned>(answer: reqwest::Result<Response>) -> anyhow::Result<T> {
    let response = answer?;
    let status = response.status();
    if !status.is_success() {
        bail!("{status}: {}", response.text().await.unwrap_or_default());
    }
    Ok(response.json().await?)
}
