//! The client: asks within the limits, retries until the deadline, reads the answers.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dce_snowflake::Snowflake;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::{sleep_until, timeout_at};

use crate::classify::{Verdict, classify};
use crate::error::{Error, ErrorKind, Unavailability};
use crate::exchange::{Http, Reply};
use crate::invalid_requests::InvalidRequests;
use crate::lone_surrogates::repair;
use crate::message_stub::{MessageStub, read_message, read_page};
use crate::model::{Application, Channel, Guild, User};
use crate::rate_limit_headers::BucketHeaders;
use crate::rate_limits::RateLimits;
use crate::retry;
use crate::route::{GUILDS_A_PAGE, MessagesQuery, Route};
use crate::settings::{ClientSettings, SettingsError};
use crate::token_kind::{Authorization, TokenKind};

/// Asks Discord with one token. A question waits for rate limits and repeats what may pass (429, 5xx, lost connections)
/// until its deadline; a wait that would end later returns its reason at once.
pub struct Client {
    base_url: Url,
    authorization: Authorization,
    allow_user_token: bool,
    http: Http,
    kind: OnceCell<TokenKind>,
    limits: Mutex<RateLimits>,
    invalid_requests: InvalidRequests,
}

/// What Discord said, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    pub value: T,
    /// The header `Date`: Discord's clock, in whole seconds.
    pub date: Option<DateTime<Utc>>,
    pub received: Instant,
    /// The number of HTTP requests that the answer cost.
    pub requests: u32,
}

type Decode<T> = fn(&str) -> serde_json::Result<T>;

impl Client {
    /// Sends nothing. Proxies are read from `HTTPS_PROXY`, additional certificate authorities from `SSL_CERT_FILE`.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        let ClientSettings { base_url, token, allow_user_token, shared_by } = settings;
        let has_valid_scheme = matches!(base_url.scheme(), "http" | "https");
        if !has_valid_scheme || base_url.query().is_some() || base_url.fragment().is_some() {
            return Err(SettingsError::BaseUrl(base_url));
        }
        let certificates =
            std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self {
            authorization: Authorization::new(&token)?,
            allow_user_token,
            http: Http::new(&base_url, certificates.as_deref())?,
            base_url,
            kind: OnceCell::new(),
            limits: Mutex::default(),
            invalid_requests: InvalidRequests::new(shared_by, Arc::new(Instant::now)),
        })
    }

    /// The invalid requests of this process; also asked and told by those who start DCE.
    pub const fn invalid_requests(&self) -> &InvalidRequests {
        &self.invalid_requests
    }

    /// Whose token it is; asked once. A token that Discord refuses in both forms is `Unauthorized`.
    pub async fn token_kind(&self, deadline: Instant) -> Result<TokenKind, Error> {
        let mut requests = 0;
        self.learn_kind(deadline, &mut requests).await.map_err(|kind| Error::new(kind, requests))
    }

    pub async fn current_user(&self, deadline: Instant) -> Result<Answer<User>, Error> {
        self.ask(Route::CurrentUser, read, deadline).await
    }

    /// All servers of the token's owner.
    pub async fn guilds(&self, deadline: Instant) -> Result<Answer<Vec<Guild>>, Error> {
        let mut guilds: Vec<Guild> = Vec::new();
        let mut requests = 0;
        loop {
            let route = Route::Guilds { after: guilds.last().map(|guild| guild.id) };
            let page = self.ask(route, read::<Vec<Guild>>, deadline).await;
            let page = page.map_err(|error| Error::new(error.kind().clone(), requests + error.requests()))?;
            requests += page.requests;
            let is_last = page.value.len() < GUILDS_A_PAGE;
            guilds.extend(page.value);
            if is_last {
                return Ok(Answer { value: guilds, date: page.date, received: page.received, requests });
            }
        }
    }

    /// The bot's application. A user has none.
    pub async fn application(&self, deadline: Instant) -> Result<Answer<Application>, Error> {
        self.ask(Route::Application, read, deadline).await
    }

    pub async fn channel(&self, channel: Snowflake, deadline: Instant) -> Result<Answer<Channel>, Error> {
        self.ask(Route::Channel(channel), read, deadline).await
    }

    /// A page in Discord's order, which is not always that of the ids.
    pub async fn messages(
        &self,
        channel: Snowflake,
        query: &MessagesQuery,
        deadline: Instant,
    ) -> Result<Answer<Vec<MessageStub>>, Error> {
        self.ask(Route::Messages(channel, *query), read_page, deadline).await
    }

    pub async fn message(
        &self,
        channel: Snowflake,
        message: Snowflake,
        deadline: Instant,
    ) -> Result<Answer<MessageStub>, Error> {
        self.ask(Route::Message { channel, message }, read_message, deadline).await
    }

    async fn ask<T>(&self, route: Route, decode: Decode<T>, deadline: Instant) -> Result<Answer<T>, Error> {
        let mut requests = 0;
        let asked = async {
            let kind = self.learn_kind(deadline, &mut requests).await?;
            if kind == TokenKind::User && !self.allow_user_token {
                return Err(ErrorKind::UserTokenNotAllowed);
            }
            self.request(route, self.authorization.header(kind), decode, deadline, &mut requests).await
        };
        match asked.await {
            Ok((value, reply)) => {
                Ok(Answer { value, date: reply.date(), received: reply.received, requests })
            }
            Err(kind) => Err(Error::new(kind, requests)),
        }
    }

    /// A user's token is asked for once even if it is not allowed: otherwise it would look like a refused one.
    async fn learn_kind(&self, deadline: Instant, requests: &mut u32) -> Result<TokenKind, ErrorKind> {
        let learnt = self.kind.get_or_try_init(async || {
            match self.owner(TokenKind::Bot, deadline, requests).await {
                Ok(_) => Ok(TokenKind::Bot),
                Err(ErrorKind::Unauthorized) => {
                    let owner = self.owner(TokenKind::User, deadline, requests).await?;
                    // A bot was refused by mistake before.
                    Ok(if owner.bot { TokenKind::Bot } else { TokenKind::User })
                }
                Err(kind) => Err(kind),
            }
        });
        // Another question may be asking already, with a later deadline.
        match timeout_at(deadline.into(), learnt).await {
            Ok(kind) => kind.copied(),
            Err(_) => Err(ErrorKind::Unavailable(Unavailability::Timeout)),
        }
    }

    async fn owner(&self, kind: TokenKind, deadline: Instant, requests: &mut u32) -> Result<User, ErrorKind> {
        let authorization = self.authorization.header(kind);
        let (user, _) = self.request(Route::CurrentUser, authorization, read, deadline, requests).await?;
        Ok(user)
    }

    async fn request<T>(
        &self,
        route: Route,
        authorization: &HeaderValue,
        decode: Decode<T>,
        deadline: Instant,
        requests: &mut u32,
    ) -> Result<(T, Reply), ErrorKind> {
        let mut failures = 0;
        // The reason that a timeout at the deadline would hide.
        let mut last = None;
        loop {
            self.wait_for_limits(route, deadline).await?;
            if Instant::now() >= deadline {
                return Err(last.unwrap_or(ErrorKind::Unavailable(Unavailability::Timeout)));
            }
            *requests += 1;
            let reply = self.http.get(route.url(&self.base_url), authorization, deadline).await;
            let reason = match reply.and_then(|reply| self.judge(route, reply, decode)) {
                Ok(Judged::Answer(value, reply)) => return Ok((value, reply)),
                Ok(Judged::RateLimited { retry_after }) => {
                    last = Some(ErrorKind::RateLimited { retry_after });
                    continue;
                }
                Err(ErrorKind::Unavailable(Unavailability::Timeout)) if Instant::now() >= deadline => {
                    return Err(last.unwrap_or(ErrorKind::Unavailable(Unavailability::Timeout)));
                }
                Err(ErrorKind::Unavailable(reason)) => reason,
                Err(kind) => return Err(kind),
            };
            failures += 1;
            let next = retry::next_request(failures, reason.retry_after(), Instant::now(), deadline);
            let reason = ErrorKind::Unavailable(reason);
            let Some(next) = next else { return Err(reason) };
            last = Some(reason);
            sleep_until(next.into()).await;
        }
    }

    /// Returns when one request may be sent, which is taken from the limits.
    async fn wait_for_limits(&self, route: Route, deadline: Instant) -> Result<(), ErrorKind> {
        loop {
            if let Some(retry_after) = self.invalid_requests.exhausted_for() {
                return Err(ErrorKind::TooManyInvalidRequests { retry_after });
            }
            let now = Instant::now();
            let Err(until) = self.limits().reserve(route, now) else { return Ok(()) };
            if until >= deadline {
                return Err(ErrorKind::RateLimited { retry_after: until - now });
            }
            sleep_until(until.into()).await;
        }
    }

    fn judge<T>(&self, route: Route, reply: Reply, decode: Decode<T>) -> Result<Judged<T>, ErrorKind> {
        let verdict = classify(reply.status, &reply.headers, &reply.body);
        if verdict.is_invalid_request() {
            self.invalid_requests.record();
        }
        let now = Instant::now();
        self.limits().observe(route, &BucketHeaders::read(&reply.headers), now);
        match verdict {
            Verdict::Accepted => match decode(&repair(&reply.body)) {
                Ok(value) => Ok(Judged::Answer(value, reply)),
                Err(error) if error.is_eof() => Err(ErrorKind::Unavailable(Unavailability::BrokenBody)),
                // The error's own text may quote a message.
                Err(_) => Err(ErrorKind::Unreadable { reason: "it is not the JSON that was asked for" }),
            },
            Verdict::RateLimited { scope, retry_after } => {
                self.limits().limited(route, scope, retry_after, now);
                Ok(Judged::RateLimited { retry_after })
            }
            Verdict::Rejected(kind) => Err(kind),
        }
    }

    fn limits(&self) -> MutexGuard<'_, RateLimits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.base_url.as_str())
            .field("kind", &self.kind.get())
            .finish_non_exhaustive()
    }
}

enum Judged<T> {
    Answer(T, Reply),
    /// The limits know until when.
    RateLimited {
        retry_after: Duration,
    },
}

fn read<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(json)
}
