//! One request and its answer.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use tokio::time::timeout_at;

use crate::error::{ErrorKind, Unavailability};
use crate::settings::SettingsError;
use crate::tls;

/// The form that Discord demands: `DiscordBot ($url, $version)`. The project has no public address, so the URL's name is a
/// reserved one that belongs to nobody.
const USER_AGENT: &str = concat!("DiscordBot (https://dce-service.example, ", env!("CARGO_PKG_VERSION"), ")");
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Time allowed for one answer; one that stalls is given up, so that it can be asked for again.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// A full page of the longest messages has some 20 MB.
const BODY_LIMIT: usize = 32 << 20;

#[derive(Debug)]
pub(crate) struct Http(reqwest::Client);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// When the headers arrived.
    pub(crate) received: Instant,
}

impl Reply {
    /// Discord's time when it answered.
    pub(crate) fn date(&self) -> Option<DateTime<Utc>> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        DateTime::parse_from_rfc2822(date).ok().map(|date| date.to_utc())
    }
}

impl Http {
    /// For requests to `base`. `certificates` is the file of additional authorities. reqwest reads the proxy from
    /// `HTTPS_PROXY`; it has no business on loopback.
    #[expect(clippy::disallowed_methods, reason = "its TLS is given below")]
    pub(crate) fn new(base: &Url, certificates: Option<&Path>) -> Result<Self, SettingsError> {
        let client = reqwest::Client::builder();
        let client = if is_loopback(base) { client.no_proxy() } else { client };
        client
            .tls_backend_preconfigured(tls::config(certificates)?)
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_LIMIT)
            // A redirect could carry the token to another server.
            .redirect(Policy::none())
            .build()
            .map(Self)
            .map_err(|error| SettingsError::Http(cause(&error)))
    }

    /// The whole answer, whatever its status, or why there is none.
    pub(crate) async fn get(
        &self,
        url: Url,
        authorization: &HeaderValue,
        deadline: Instant,
    ) -> Result<Reply, ErrorKind> {
        let limit = deadline.min(Instant::now() + ANSWER_LIMIT);
        let request = self.0.get(url).header(AUTHORIZATION, authorization.clone());
        timeout_at(limit.into(), Self::exchange(request))
            .await
            .unwrap_or(Err(ErrorKind::Unavailable(Unavailability::Timeout)))
    }

    async fn exchange(request: reqwest::RequestBuilder) -> Result<Reply, ErrorKind> {
        let mut response = request.send().await.map_err(|error| {
            ErrorKind::Unavailable(Unavailability::Connection { cause: cause(&error.without_url()) })
        })?;
        let received = Instant::now();
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|_| ErrorKind::Unavailable(Unavailability::BrokenBody))?
        {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(ErrorKind::Unreadable { reason: "it is larger than 32 MiB" });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
            received,
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

/// The innermost error, such as "Connection refused" or an invalid certificate. The outer ones say that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_the_proxy() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/api/v10", true),
            ("http://[::1]:8080", true),
            ("http://localhost", true),
            ("https://discord.com/api/v10", false),
            ("http://127.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
