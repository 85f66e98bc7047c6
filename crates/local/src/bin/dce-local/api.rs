//! A client of the service's HTTP API.

use anyhow::{Context, bail};
use dce_local::loopback_client;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::json;

/// An API on this machine.
pub(crate) struct Api {
    client: Client,
    /// Without a trailing slash.
    pub(crate) url: String,
}

/// The answer to `POST /exports`.
#[derive(Deserialize)]
pub(crate) struct Accepted {
    pub(crate) job_id: String,
}

/// The answer to `GET /exports/{job_id}`.
#[derive(Deserialize)]
pub(crate) struct Export {
    pub(crate) status: String,
    pub(crate) message_count: u64,
    pub(crate) inserted_count: u64,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) error: Option<Failure>,
}

impl Export {
    pub(crate) fn has_ended(&self) -> bool {
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
    pub(crate) fn new(url: String) -> anyhow::Result<Self> {
        let client = loopback_client().build()?;
        Ok(Self { client, url })
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

/// The body of a successful answer, or an error with the API's own text.
async fn read<T: serde::de::DeserializeOwned>(answer: reqwest::Result<Response>) -> anyhow::Result<T> {
    let response = answer?;
    let status = response.status();
    if !status.is_success() {
        bail!("{status}: {}", response.text().await.unwrap_or_default());
    }
    Ok(response.json().await?)
}
