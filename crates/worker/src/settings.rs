//! Settings of the worker: `--help` documents every variable, and all mistakes are reported at once.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dce_core::db::DatabaseUrl;
use dce_core::export::admission::AdmissionLimit;
use dce_core::settings::{ByteSize, Mistakes, SettingsParser};
use dce_core::telemetry::LogFormat;
use dce_discord::Url;
use secrecy::SecretString;

use crate::check::settings::CheckArguments;
use crate::database_settings::DatabaseArguments;
use crate::discord_settings::DiscordArguments;
use crate::import::settings::ImportArguments;

/// Accepted timeouts: a shorter one would end every attempt, a longer one is a typing error.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);
/// Accepted values of `SHUTDOWN_GRACE`.
const GRACES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
/// A smaller limit is one whose unit was forgotten.
const LEAST_DISK_LIMIT: ByteSize = ByteSize(1_000_000);

#[derive(Parser)]
#[command(
    name = "dce-worker",
    version,
    about = "Worker that runs DiscordChatExporter and streams its output into Postgres",
    args_conflicts_with_subcommands = true,
    after_help = "RUST_LOG sets the log filter, such as info or dce_worker=debug,info.\n\
                  A .env file in the working directory is read unless DOTENV=false."
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub raw: RawSettings,
}

#[derive(Subcommand)]
pub enum Command {
    /// Import existing JSON exports made by DiscordChatExporter
    Import(ImportArguments),
    /// Check whether Discord accepts the token, and what it gives access to
    Check(CheckArguments),
}

/// The settings as text; parsed by [`Settings::parse`]. Not `Debug`, because it contains secrets.
#[derive(Args)]
pub struct RawSettings {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    discord: DiscordArguments,
    /// Ask Discord after each export whether anything was left unread. false: exports complete on DiscordChatExporter's
    /// report, with the warning not_verified
    #[arg(long, env, hide_env_values = true, value_name = "BOOL", default_value = "true")]
    discord_verify: String,
    /// Number of workers that reach Discord from one IP address, 1 to 1000. They share Discord's limit of 10,000 refused
    /// requests in ten minutes
    #[arg(long, env, hide_env_values = true, value_name = "N", default_value = "1")]
    workers_per_address: String,
    /// Path to the DiscordChatExporter executable. Its folder must contain the other files of the same release
    #[arg(
        long,
        env,
        hide_env_values = true,
        value_name = "PATH",
        default_value = "/opt/dce/DiscordChatExporter.Cli"
    )]
    dce_bin: PathBuf,
    /// Folder for DiscordChatExporter's output until it is stored in Postgres; the path must not contain %. Unset: the
    /// subfolder dce-worker of the system's temporary folder
    #[arg(long, env, hide_env_values = true, value_name = "PATH")]
    work_dir: Option<PathBuf>,
    /// Minimum free space on the disk of WORK_DIR. Below it, no new attempt starts, and running attempts are stopped. An
    /// attempt is one invocation of DiscordChatExporter. 0: no limit
    #[arg(long, env, hide_env_values = true, value_name = "SIZE", default_value = "256MB")]
    min_free_disk: String,
    /// Maximum size of one attempt's output that is not yet stored in Postgres. Above it, the attempt is stopped, and
    /// the next one continues where it ended. 0: no limit
    #[arg(long, env, hide_env_values = true, value_name = "SIZE", default_value = "2GB")]
    attempt_disk_limit: String,
    /// Number of runs that this process executes at once, 1 to 64. A run is the export of one channel
    #[arg(long, env, hide_env_values = true, value_name = "N", default_value = "2")]
    worker_concurrency: String,
    /// Time limit for one attempt, such as 6h. Unset: none
    #[arg(long, env, hide_env_values = true, value_name = "TIME")]
    export_timeout: Option<String>,
    /// Time without new output or progress after which an attempt is stopped; the next one continues where it ended
    #[arg(long, env, hide_env_values = true, value_name = "TIME", default_value = "10m")]
    stall_timeout: String,
    /// Maximum time from SIGTERM or SIGINT to the end of the process. The last 12 s are reserved for stopping runs and
    /// handing them to other workers. A second signal ends the process within 4 s
    #[arg(long, env, hide_env_values = true, value_name = "TIME", default_value = "25s")]
    shutdown_grace: String,
    /// Maximum number of channels that all workers together export at once, 1 to 10000. Unset: the sum of the workers'
    /// WORKER_CONCURRENCY
    #[arg(long, env, hide_env_values = true, value_name = "N")]
    max_parallel_runs: Option<String>,
    /// Log format: json or pretty. Unset: pretty on a terminal, json elsewhere
    #[arg(long, env, hide_env_values = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Has no effect as a flag: the log reads the variable
    #[arg(long = "rust-log", env = "RUST_LOG", hide = true)]
    _rust_log: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub database: DatabaseUrl,
    /// Passed to DCE in its environment and nowhere else.
    pub token: SecretString,
    /// Whether the end of an export is proven by asking Discord.
    pub verify: bool,
    /// Whether our own client may use a user's token.
    pub allow_user_token: bool,
    pub discord_api_url: Url,
    /// Workers behind one IP address.
    pub workers_per_address: NonZeroU32,
    /// Existed and was executable when the settings were read.
    pub dce_bin: PathBuf,
    pub work_dir: PathBuf,
    /// 0: no limit.
    pub min_free_disk: ByteSize,
    /// 0: no limit.
    pub attempt_disk_limit: ByteSize,
    /// Runs at once.
    pub slots: u32,
    pub ingest_connections: u32,
    pub export_timeout: Option<Duration>,
    pub stall_timeout: Duration,
    pub shutdown_grace: Duration,
    pub limit: AdmissionLimit,
    pub migrate: bool,
    pub log_format: LogFormat,
}

impl Settings {
    /// Parses all settings, or reports every mistake. `terminal`: the log goes to a terminal.
    pub fn parse(raw: RawSettings, terminal: bool) -> Result<Self, Mistakes> {
        let mut parser = SettingsParser::default();
        let settings = Self::parse_with(&mut parser, raw, terminal);
        parser.finish(settings)
    }

    fn parse_with(parser: &mut SettingsParser, raw: RawSettings, terminal: bool) -> Option<Self> {
        // Every setting is read before the first missing one returns, so that all mistakes are reported.
        let database = raw.database.url(parser, "set it to the URL of your Postgres, postgres://…");
        let token = raw.discord.token(parser);
        let verify = parser.flag("DISCORD_VERIFY", &raw.discord_verify);
        let allow_user_token = raw.discord.allow_user_token(parser);
        let discord_api_url = raw.discord.api_url(parser);
        let workers_per_address = parser
            .number("WORKERS_PER_ADDRESS", &raw.workers_per_address, 1..=1000)
            .and_then(NonZeroU32::new);
        let dce_bin = parse_program(parser, &raw.dce_bin);
        let work_dir = parse_work_dir(parser, raw.work_dir);
        let slots = parser.number("WORKER_CONCURRENCY", &raw.worker_concurrency, 1..=64);
        let ingest_connections = raw.database.ingest_connections(parser);
        let min_free_disk = parser.size("MIN_FREE_DISK", &raw.min_free_disk, LEAST_DISK_LIMIT);
        let attempt_disk_limit = parser.size("ATTEMPT_DISK_LIMIT", &raw.attempt_disk_limit, LEAST_DISK_LIMIT);
        let export_timeout =
            raw.export_timeout.map(|value| parser.duration("EXPORT_TIMEOUT", &value, TIMEOUTS));
        let stall_timeout = parser.duration("STALL_TIMEOUT", &raw.stall_timeout, TIMEOUTS);
        let shutdown_grace = parser.duration("SHUTDOWN_GRACE", &raw.shutdown_grace, GRACES);
        let max_parallel_runs =
            raw.max_parallel_runs.map(|value| parser.number("MAX_PARALLEL_RUNS", &value, 1..=10_000));
        let migrate = raw.database.migrate(parser);
        let default_format = if terminal { LogFormat::Pretty } else { LogFormat::Json };
        let log_format =
            raw.log_format.map_or(Some(default_format), |value| parser.parsed("LOG_FORMAT", &value));
        Some(Self {
            database: database?,
            token: token?,
            verify: verify?,
            allow_user_token: allow_user_token?,
            discord_api_url: discord_api_url?,
            workers_per_address: workers_per_address?,
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

fn parse_program(parser: &mut SettingsParser, program: &Path) -> Option<PathBuf> {
    let executable =
        program.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if !executable {
        let remedy = format!(
            "is not an executable file ({}): install the DiscordChatExporter CLI there, or set DCE_BIN to its path",
            program.display()
        );
        parser.mistake("DCE_BIN", remedy);
        return None;
    }
    // DCE runs in a folder of its own, where a relative path would mean another file. Links are not resolved: the program
    // looks for its files in the folder of the link.
    std::path::absolute(program).map_err(|error| parser.mistake("DCE_BIN", error)).ok()
}

fn parse_work_dir(parser: &mut SettingsParser, work_dir: Option<PathBuf>) -> Option<PathBuf> {
    let work_dir = work_dir.unwrap_or_else(|| std::env::temp_dir().join("dce-worker"));
    if work_dir.to_str().is_none_or(|path| path.contains('%')) {
        parser.mistake("WORK_DIR", "must be UTF-8 without %, because DiscordChatExporter expands % in paths");
        return None;
    }
    std::path::absolute(work_dir).map_err(|error| parser.mistake("WORK_DIR", error)).ok()
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
        Settings::parse(CommandLine::try_parse_from(complete.iter().chain(arguments)).unwrap().raw, false)
    }

    #[test]
    fn by_default_an_attempt_has_disk_and_stall_limits_but_no_time_limit() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.min_free_disk, ByteSize(256_000_000));
        assert_eq!(settings.attempt_disk_limit, ByteSize(2_000_000_000));
        assert_eq!(settings.stall_timeout, Duration::from_mins(10));
        assert_eq!(settings.export_timeout, None);
    }

    #[test]
    fn every_limit_out_of_range_is_reported_at_once() {
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
