//! Settings of the API: environment variables, each also a flag. clap reads them as text and this file checks them, so
//! that all mistakes are reported at once and no value is ever printed. The doc comments of `RawSettings` and `Command`
//! are the text of `--help`.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dce_core::db::DatabaseUrl;
use dce_core::export::admission::AdmissionLimit;
use dce_core::export::rate_limit::RateLimit;
use dce_core::export::request::{AllowedChannels, ChannelRules};
use dce_core::ids::Snowflake;
use dce_core::settings::{Mistakes, SettingsParser};
use dce_core::telemetry::LogFormat;

use crate::auth::keys::Keys;
use crate::auth::new_key::NewKeyArguments;
use crate::cors::AllowedOrigins;
use crate::retention::arguments::{PruneArguments, PurgeArguments};
use crate::search_index::SearchIndexArguments;

/// Many proxies close a connection after a minute without traffic.
const EVENTS_PING: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(55);

#[derive(Debug, Parser)]
#[command(
    name = "dce-api",
    version,
    about = "REST API that exports Discord channels to Postgres",
    after_help = "RUST_LOG sets the log filter, such as info or dce_api=debug,info.\n\
                  A .env file in the working directory is read unless DOTENV=false."
)]
pub struct Cli {
    /// `None`: serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub raw: RawSettings,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Migrate the database schema to the current version and exit
    #[command(after_help = "Needs DATABASE_URL.")]
    Migrate,
    /// Print the OpenAPI document and exit
    Openapi,
    /// Check whether the server at HOST and PORT is alive; the exit code is 0 if it is, 1 if it is not
    Healthcheck,
    /// Delete old messages or old exports; later exports and imports may archive the messages again
    Prune(PruneArguments),
    /// Permanently erase one message, or all messages of an author or a channel; later exports and imports skip them
    Purge(PurgeArguments),
    /// Manage API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Manage optional indexes
    #[command(subcommand)]
    Index(IndexCommand),
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum IndexCommand {
    /// Build, or drop, the index that makes text searches for rare words fast; reads and writes continue meanwhile
    Search(SearchIndexArguments),
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum KeysCommand {
    /// Create an API key and print it with its entry for API_KEYS; the key cannot be shown again
    New(NewKeyArguments),
}

/// Settings as text.
#[derive(Debug, Args)]
pub struct RawSettings {
    /// Postgres URL, such as postgres://user:password@host:5432/database. On Supabase, use the session pooler (port 5432),
    /// never port 6543. Required
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Channel to export if a request names none. If ALLOWED_CHANNEL_IDS is unset, only this channel may be exported
    #[arg(long, env, hide_env_values = true, value_name = "ID")]
    default_channel_id: Option<String>,
    /// Channels that may be exported, with their threads: ids separated by commas, or * for all. Unset: DEFAULT_CHANNEL_ID
    /// only, or all if that is unset too
    #[arg(long, env, hide_env_values = true, value_name = "IDS")]
    allowed_channel_ids: Option<String>,
    /// Keys of the API's clients: entries of the form name:scope:sha256, separated by commas; `dce-api keys new` makes
    /// them. Unset: no authentication
    #[arg(long, env, hide_env_values = true, value_name = "KEYS")]
    api_keys: Option<String>,
    /// Allow HOST to be a non-loopback address even without API_KEYS. Anyone who can reach the API may then export channels
    /// and read the archive
    #[arg(long, env, hide_env_values = true, value_name = "BOOL", default_value = "false")]
    allow_unauthenticated: String,
    /// IP address to listen on, or localhost
    #[arg(long, env, hide_env_values = true, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on. 0: any free port
    #[arg(long, env, hide_env_values = true, value_name = "PORT", default_value = "8000")]
    port: String,
    /// Log format: json or pretty. Unset: pretty on a terminal, json elsewhere
    #[arg(long, env, hide_env_values = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Maximum number of Postgres connections for requests, 1 to 100
    #[arg(long, env, hide_env_values = true, value_name = "N", default_value = "3")]
    db_pool_size: String,
    /// Migrate the database schema at start
    #[arg(long, env, hide_env_values = true, value_name = "BOOL", default_value = "true")]
    migrate_on_start: String,
    /// Stop retrying a channel's export automatically after this many consecutive failures without progress, 1 to 1000
    #[arg(long, env, hide_env_values = true, value_name = "N", default_value = "5")]
    max_attempts: String,
    /// Maximum number of exports that one client may create per minute, 1 to 1000. 0: no limit. Clients are
    /// told apart by the name of their key or, without API_KEYS, by IP address
    #[arg(long, env, hide_env_values = true, value_name = "N", default_value = "10")]
    rate_limit_per_minute: String,
    /// Time allowed to receive a request, 1s to 5m
    #[arg(long, env, hide_env_values = true, value_name = "TIME", default_value = "10s")]
    request_timeout: String,
    /// Origins whose scripts may call the API from a browser: URLs such as https://example.org, separated by commas, or *
    /// for all. Unset: none
    #[arg(long, env, hide_env_values = true, value_name = "ORIGINS")]
    cors_allowed_origins: Option<String>,
    /// Maximum number of channels that all workers together export at once, 1 to 10000. Unset: the sum of the workers'
    /// WORKER_CONCURRENCY
    #[arg(long, env, hide_env_values = true, value_name = "N")]
    max_parallel_runs: Option<String>,
    /// Silence after which an event stream sends a comment, so that proxies keep it open
    #[arg(long, env, hide = true, value_name = "TIME", default_value = "15s")]
    events_ping: String,
}

/// Settings of the server, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    pub database_url: DatabaseUrl,
    /// `None`: no authentication.
    pub keys: Option<Keys>,
    /// Which channels may be exported.
    pub channels: ChannelRules,
    /// Address to listen on.
    pub address: SocketAddr,
    pub log_format: LogFormat,
    pub db_pool_size: u32,
    pub migrate_on_start: bool,
    /// Failures in a row without progress after which a run fails for good.
    pub max_attempts: u32,
    /// Exports that a client may create; `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Time allowed to receive a request.
    pub request_timeout: Duration,
    pub origins: AllowedOrigins,
    /// Runs that may be active at once.
    pub limit: AdmissionLimit,
    /// Silence after which an event stream sends a comment.
    pub events_ping: Duration,
}

/// Settings of the commands that work on the database, checked.
#[derive(Debug)]
pub struct DatabaseSettings {
    pub database_url: DatabaseUrl,
    pub log_format: LogFormat,
}

impl RawSettings {
    /// Checks the settings of the server. `terminal`: standard output is a terminal.
    pub fn serve(&self, terminal: bool) -> Result<Settings, Mistakes> {
        let mut reader = SettingsParser::default();
        let database_url = self.read_database_url(&mut reader);
        let channels = self.read_channels(&mut reader);
        let address = self.read_address(&mut reader);
        let keys = self.read_keys(&mut reader);
        self.require_authentication(&mut reader, address);
        let log_format = self.read_log_format(&mut reader, terminal);
        let db_pool_size = reader.number("DB_POOL_SIZE", &self.db_pool_size, 1..=100);
        let migrate_on_start = reader.flag("MIGRATE_ON_START", &self.migrate_on_start);
        let max_attempts = reader.number("MAX_ATTEMPTS", &self.max_attempts, 1..=1000);
        let max_parallel_runs = self
            .max_parallel_runs
            .as_ref()
            .and_then(|text| reader.number("MAX_PARALLEL_RUNS", text, 1..=10_000));
        let rate_limit = reader.number("RATE_LIMIT_PER_MINUTE", &self.rate_limit_per_minute, 0..=1000);
        let times = Duration::from_secs(1)..=Duration::from_secs(300);
        let request_timeout = reader.duration("REQUEST_TIMEOUT", &self.request_timeout, times);
        let origins = self
            .cors_allowed_origins
            .as_ref()
            .and_then(|text| reader.parsed("CORS_ALLOWED_ORIGINS", text))
            .unwrap_or_default();
        let events_ping = reader.duration("EVENTS_PING", &self.events_ping, EVENTS_PING);
        let settings = || {
            Some(Settings {
                database_url: database_url?,
                keys,
                channels,
                address: address?,
                log_format: log_format?,
                db_pool_size: db_pool_size?,
                migrate_on_start: migrate_on_start?,
                max_attempts: max_attempts?,
                rate_limit: RateLimit::new(rate_limit?),
                request_timeout: request_timeout?,
                origins,
                limit: AdmissionLimit { max_parallel_runs },
                events_ping: events_ping?,
            })
        };
        reader.finish(settings())
    }

    /// Checks the settings of a command on the database. `terminal`: its log goes to a terminal.
    pub fn database(&self, terminal: bool) -> Result<DatabaseSettings, Mistakes> {
        let mut reader = SettingsParser::default();
        let database_url = self.read_database_url(&mut reader);
        let log_format = self.read_log_format(&mut reader, terminal);
        let settings = || Some(DatabaseSettings { database_url: database_url?, log_format: log_format? });
        reader.finish(settings())
    }

    /// The address that a server with these settings listens on.
    pub fn address(&self) -> Result<SocketAddr, Mistakes> {
        let mut reader = SettingsParser::default();
        let address = self.read_address(&mut reader);
        reader.finish(address)
    }

    fn read_database_url(&self, reader: &mut SettingsParser) -> Option<DatabaseUrl> {
        let example = "a Postgres URL, such as postgres://user:password@host:5432/database";
        let text = reader.required("DATABASE_URL", self.database_url.clone(), example)?;
        DatabaseUrl::parse(text.trim()).map_err(|reason| reader.mistake("DATABASE_URL", reason)).ok()
    }

    fn read_channels(&self, reader: &mut SettingsParser) -> ChannelRules {
        let default = self
            .default_channel_id
            .as_ref()
            .and_then(|text| reader.parsed::<Snowflake>("DEFAULT_CHANNEL_ID", text));
        let allowed = self
            .allowed_channel_ids
            .as_ref()
            .and_then(|text| reader.parsed::<AllowedChannels>("ALLOWED_CHANNEL_IDS", text));
        ChannelRules::new(default, allowed)
    }

    fn read_address(&self, reader: &mut SettingsParser) -> Option<SocketAddr> {
        let host = match self.host.trim() {
            "localhost" => Some(IpAddr::from(Ipv4Addr::LOCALHOST)),
            text => text.parse().ok(),
        };
        if host.is_none() {
            reader.mistake("HOST", "must be an IP address such as 127.0.0.1 or 0.0.0.0, or localhost");
        }
        let port =
            reader.number("PORT", &self.port, 0..=u16::MAX.into()).and_then(|port| u16::try_from(port).ok());
        Some(SocketAddr::new(host?, port?))
    }

    /// Blank counts as unset; then HOST decides whether the API starts.
    fn api_keys(&self) -> Option<&str> {
        self.api_keys.as_deref().filter(|text| !text.trim().is_empty())
    }

    fn read_keys(&self, reader: &mut SettingsParser) -> Option<Keys> {
        self.api_keys().and_then(|text| reader.parsed("API_KEYS", text))
    }

    /// Refuses to start without keys on an address that others can reach, unless `ALLOW_UNAUTHENTICATED` permits it.
    fn require_authentication(&self, reader: &mut SettingsParser, address: Option<SocketAddr>) {
        let allowed = reader.flag("ALLOW_UNAUTHENTICATED", &self.allow_unauthenticated);
        if self.api_keys().is_none()
            && allowed == Some(false)
            && address.is_some_and(|address| !address.ip().is_loopback())
        {
            reader.mistake(
                "HOST",
                "is not a loopback address, so everyone who reaches it could export and read: set API_KEYS \
                 (`dce-api keys new NAME` makes one), use 127.0.0.1, or set ALLOW_UNAUTHENTICATED=true if only \
                 programs that you trust can reach it",
            );
        }
    }

    fn read_log_format(&self, reader: &mut SettingsParser, terminal: bool) -> Option<LogFormat> {
        match &self.log_format {
            Some(text) => reader.parsed("LOG_FORMAT", text),
            None if terminal => Some(LogFormat::Pretty),
            None => Some(LogFormat::Json),
        }
    }
}
