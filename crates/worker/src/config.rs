//! Settings of the worker: every variable documented by `--help`, every mistake reported at once.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dce_core::db::DatabaseUrl;
use dce_core::export::admission::AdmissionLimit;
use dce_core::settings::{ByteSize, Mistakes, Reader};
use dce_core::telemetry::LogFormat;
use secrecy::SecretString;

use crate::import::settings::ImportArguments;

/// What a timeout may be. Shorter ones would end every attempt, longer ones are a slip of the hand.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);
/// What the end of a worker may take.
const GRACES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
/// A smaller limit is one whose unit was forgotten.
const LEAST_DISK_LIMIT: ByteSize = ByteSize(1_000_000);

/// Runs DiscordChatExporter and streams what it writes into Postgres.
#[derive(Debug, Parser)]
#[command(name = "dce-worker", version, about, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// Something else than a worker's work.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings as they come.
    #[command(flatten)]
    pub raw: RawSettings,
}

/// What the program can do besides being a worker.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Imports DiscordChatExporter's JSON exports that are there already.
    Import(ImportArguments),
}

/// The settings as text; read by [`Settings::read`].
#[derive(Args)]
pub struct RawSettings {
    /// Postgres, e.g. postgres://user:password@host:5432/database. On Supabase the session pooler (port 5432), never port 6543.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The Discord bot token. Given to DiscordChatExporter through its environment only.
    #[arg(long, env = "DISCORD_TOKEN", hide_env_values = true)]
    discord_token: Option<String>,
    /// The DiscordChatExporter executable, with its whole folder beside it.
    #[arg(long, env = "DCE_BIN", default_value = "/opt/dce/DiscordChatExporter.Cli")]
    dce_bin: PathBuf,
    /// Where exports are written before they are in Postgres; must not contain %. [default: dce-worker in the system's temporary folder]
    #[arg(long, env = "WORK_DIR")]
    work_dir: Option<PathBuf>,
    /// No attempt starts, and running ones are stopped, when less than this is free where WORK_DIR is. 0: no such limit.
    #[arg(long, env = "MIN_FREE_DISK", default_value = "256MB")]
    min_free_disk: String,
    /// Most that one attempt's files may take that are not stored yet; an attempt with more is stopped and resumed. 0: no such limit.
    #[arg(long, env = "ATTEMPT_DISK_LIMIT", default_value = "2GB")]
    attempt_disk_limit: String,
    /// Exports at a time in this process.
    #[arg(long, env = "WORKER_CONCURRENCY", default_value = "2")]
    worker_concurrency: String,
    /// Database sessions that write messages, shared by all exports of this process.
    #[arg(long, env = "INGEST_CONNECTIONS", default_value = "2")]
    ingest_connections: String,
    /// Longest time for one attempt, e.g. 6h. [default: none]
    #[arg(long, env = "EXPORT_TIMEOUT")]
    export_timeout: Option<String>,
    /// An attempt whose output did not grow and whose progress did not advance for so long is ended and resumed.
    #[arg(long, env = "STALL_TIMEOUT", default_value = "10m")]
    stall_timeout: String,
    /// From SIGTERM to the end; its last 12 s are for stopping exports and handing them to other workers. A second signal ends it at once.
    #[arg(long, env = "SHUTDOWN_GRACE", default_value = "25s")]
    shutdown_grace: String,
    /// Most exports running at once over all workers. [default: the slots of all workers]
    #[arg(long, env = "MAX_PARALLEL_RUNS")]
    max_parallel_runs: Option<String>,
    /// Bring the database's schema up to date at start.
    #[arg(long, env = "MIGRATE_ON_START", default_value = "true")]
    migrate_on_start: String,
    /// json or pretty. [default: pretty on a terminal, else json]
    #[arg(long, env = "LOG_FORMAT")]
    log_format: Option<String>,
    /// Which log lines are written, e.g. info or dce_worker=debug.
    #[arg(long = "rust-log", env = "RUST_LOG")]
    _rust_log: Option<String>,
}

impl std::fmt::Debug for RawSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawSettings") // holds secrets
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Postgres.
    pub database: DatabaseUrl,
    /// Goes into DCE's environment and nowhere else.
    pub token: SecretString,
    /// The executable; there and executable when the settings were read.
    pub dce_bin: PathBuf,
    /// Where attempts have their folders.
    pub work_dir: PathBuf,
    /// What should be free where that is; 0: no limit.
    pub min_free_disk: ByteSize,
    /// What one attempt's files may take; 0: no limit.
    pub attempt_disk_limit: ByteSize,
    /// Runs at a time.
    pub slots: u32,
    /// Sessions that write messages.
    pub ingest_connections: u32,
    /// Longest time for one attempt.
    pub export_timeout: Option<Duration>,
    /// Longest time without a sign of life.
    pub stall_timeout: Duration,
    /// From SIGTERM to the end.
    pub shutdown_grace: Duration,
    /// Bound of admission.
    pub limit: AdmissionLimit,
    /// Whether migrations run at start.
    pub migrate: bool,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads all settings, or says all that is wrong. `terminal`: somebody looks at the log.
    pub fn read(raw: RawSettings, terminal: bool) -> Result<Self, Mistakes> {
        let mut reader = Reader::default();
        let settings = Self::read_with(&mut reader, raw, terminal);
        reader.finish(settings)
    }

    fn read_with(reader: &mut Reader, raw: RawSettings, terminal: bool) -> Option<Self> {
        // Every setting is read before any missing one ends it: all mistakes at once.
        let database = reader
            .required("DATABASE_URL", raw.database_url, "the Postgres to work for, postgres://…")
            .and_then(|url| {
                DatabaseUrl::parse(&url).map_err(|error| reader.mistake("DATABASE_URL", error)).ok()
            });
        let token = reader.required(
            "DISCORD_TOKEN",
            raw.discord_token,
            "the bot's token from Discord's developer portal",
        );
        let dce_bin = read_program(reader, &raw.dce_bin);
        let work_dir = read_work_dir(reader, raw.work_dir);
        let slots = reader.number("WORKER_CONCURRENCY", &raw.worker_concurrency, 1..=64);
        let ingest_connections = reader.number("INGEST_CONNECTIONS", &raw.ingest_connections, 1..=8);
        let min_free_disk = reader.size("MIN_FREE_DISK", &raw.min_free_disk, LEAST_DISK_LIMIT);
        let attempt_disk_limit = reader.size("ATTEMPT_DISK_LIMIT", &raw.attempt_disk_limit, LEAST_DISK_LIMIT);
        let export_timeout =
            raw.export_timeout.map(|value| reader.duration("EXPORT_TIMEOUT", &value, TIMEOUTS));
        let stall_timeout = reader.duration("STALL_TIMEOUT", &raw.stall_timeout, TIMEOUTS);
        let shutdown_grace = reader.duration("SHUTDOWN_GRACE", &raw.shutdown_grace, GRACES);
        let max_parallel_runs =
            raw.max_parallel_runs.map(|value| reader.number("MAX_PARALLEL_RUNS", &value, 1..=10_000));
        let migrate = reader.flag("MIGRATE_ON_START", &raw.migrate_on_start);
        let default_format = if terminal { LogFormat::Pretty } else { LogFormat::Json };
        let log_format =
            raw.log_format.map_or(Some(default_format), |value| reader.parsed("LOG_FORMAT", &value));
        Some(Self {
            database: database?,
            token: SecretString::from(token?.trim()),
            dce_bin: dce_bin?,
            work_dir: work_dir?,
            min_free_disk: min_free_disk?,
            attempt_disk_limit: attempt_disk_limit?,
            slots: slots?,
            ingest_connections: ingest_connections?,
            export_timeout: export_timeout.flatten(),
            stall_timeout: stall_timeout?,
            shutdown_grace: shutdown_grace?,
            limit: AdmissionLimit { max_parallel_runs: max_parallel_runs.flatten() },
            migrate: migrate?,
            log_format: log_format?,
        })
    }
}

fn read_program(reader: &mut Reader, program: &Path) -> Option<PathBuf> {
    let executable =
        program.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if !executable {
        let remedy = format!(
            "names no executable at {}: install DiscordChatExporter's CLI there, or set DCE_BIN to where it is",
            program.display()
        );
        reader.mistake("DCE_BIN", remedy);
        return None;
    }
    // DCE runs in a folder of its own, where a relative path would mean something else. Not resolved further: a link's
    // own folder is what the program sees as its place.
    std::path::absolute(program).map_err(|error| reader.mistake("DCE_BIN", error)).ok()
}

fn read_work_dir(reader: &mut Reader, work_dir: Option<PathBuf>) -> Option<PathBuf> {
    let work_dir = work_dir.unwrap_or_else(|| std::env::temp_dir().join("dce-worker"));
    if work_dir.to_str().is_none_or(|path| path.contains('%')) {
        reader.mistake("WORK_DIR", "must be UTF-8 without %, which DiscordChatExporter replaces in paths");
        return None;
    }
    std::path::absolute(work_dir).map_err(|error| reader.mistake("WORK_DIR", error)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Settings, Mistakes> {
        let complete = [
            "dce-worker",
            "--database-url",
            "postgres://h/d",
            "--discord-token",
            "t",
            "--dce-bin",
            "/bin/sh",
        ];
        Settings::read(CommandLine::try_parse_from(complete.iter().chain(arguments)).unwrap().raw, false)
    }

    #[test]
    fn an_attempt_has_limits_by_default() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.min_free_disk, ByteSize(256_000_000));
        assert_eq!(settings.attempt_disk_limit, ByteSize(2_000_000_000));
        assert_eq!(settings.stall_timeout, Duration::from_mins(10));
        assert_eq!(settings.export_timeout, None);
    }

    #[test]
    fn limits_that_would_end_every_attempt_are_refused_all_at_once() {
        let absurd = [
            ["--export-timeout", "0"],
            ["--stall-timeout", "1000years"],
            ["--shutdown-grace", "1ms"],
            ["--min-free-disk", "256"],
            ["--attempt-disk-limit", "1KB"],
        ];
        let text = read(absurd.as_flattened()).unwrap_err().to_string();
        for mistake in [
            "EXPORT_TIMEOUT must be a time span such as 25s, 10m or 2h, from 1s to 30days",
            "STALL_TIMEOUT must",
            "SHUTDOWN_GRACE must",
            "MIN_FREE_DISK must be a size such as 256MB, 2GB or 1GiB, at least 1 MB, or 0",
            "ATTEMPT_DISK_LIMIT must",
        ] {
            assert!(text.contains(mistake), "{text}");
        }
    }
}
