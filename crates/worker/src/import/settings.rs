//! What `dce-worker import` is told: paths on the command line, settings in the environment.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use std::path::PathBuf;

use clap::Args;
use dce_core::db::DatabaseUrl;
use dce_core::settings::{Mistakes, Reader};
use dce_core::telemetry::LogFormat;

/// Imports DiscordChatExporter's JSON exports that are there already.
#[derive(Args)]
pub struct ImportArguments {
    /// Files, folders with everything below them, zip archives: .json and .json.gz of DiscordChatExporter 2.30 and later.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only say what is there; no database is needed.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    raw: RawSettings,
}

/// The settings as text. The worker's others do not matter here.
#[derive(Args)]
struct RawSettings {
    /// Postgres, e.g. postgres://user:password@host:5432/database. On Supabase the session pooler (port 5432), never port 6543.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Database sessions that write messages.
    #[arg(long, env = "INGEST_CONNECTIONS", default_value = "2")]
    ingest_connections: String,
    /// Bring the database's schema up to date at start.
    #[arg(long, env = "MIGRATE_ON_START", default_value = "true")]
    migrate_on_start: String,
    /// json or pretty. Logs go to stderr. [default: pretty on a terminal, else json]
    #[arg(long, env = "LOG_FORMAT")]
    log_format: Option<String>,
    /// Which log lines are written, e.g. info. [default: none on a terminal, else warnings]
    #[arg(long = "rust-log", env = "RUST_LOG")]
    _rust_log: Option<String>,
}

impl std::fmt::Debug for ImportArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportArguments").field("paths", &self.paths).finish_non_exhaustive() // holds secrets
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct ImportSettings {
    /// Postgres; there unless only a look is asked for.
    pub database: Option<DatabaseUrl>,
    /// Sessions that write messages.
    pub ingest_connections: u32,
    /// Whether migrations run at start.
    pub migrate: bool,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl ImportArguments {
    /// Reads all settings, or says all that is wrong. `terminal`: somebody looks at the log.
    pub fn settings(&self, terminal: bool) -> Result<ImportSettings, Mistakes> {
        let mut reader = Reader::default();
        let settings = self.read_with(&mut reader, terminal);
        reader.finish(settings)
    }

    fn read_with(&self, reader: &mut Reader, terminal: bool) -> Option<ImportSettings> {
        let raw = &self.raw;
        let database = if self.dry_run {
            Some(None)
        } else {
            reader
                .required(
                    "DATABASE_URL",
                    raw.database_url.clone(),
                    "the Postgres to import into, postgres://…",
                )
                .and_then(|url| {
                    DatabaseUrl::parse(&url).map_err(|error| reader.mistake("DATABASE_URL", error)).ok()
                })
                .map(Some)
        };
        let ingest_connections = reader.number("INGEST_CONNECTIONS", &raw.ingest_connections, 1..=8);
        let migrate = reader.flag("MIGRATE_ON_START", &raw.migrate_on_start);
        let default_format = if terminal { LogFormat::Pretty } else { LogFormat::Json };
        let log_format =
            raw.log_format.as_ref().map_or(Some(default_format), |value| reader.parsed("LOG_FORMAT", value));
        Some(ImportSettings {
            database: database?,
            ingest_connections: ingest_connections?,
            migrate: migrate?,
            log_format: log_format?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        arguments: ImportArguments,
    }

    fn read(arguments: &[&str]) -> Result<ImportSettings, Mistakes> {
        let whole = ["import", "x.json"].iter().chain(arguments);
        CommandLine::try_parse_from(whole).unwrap().arguments.settings(false)
    }

    #[test]
    fn only_a_look_needs_no_database() {
        assert!(read(&["--dry-run"]).unwrap().database.is_none());
        assert!(read(&["--database-url", "postgres://h/d"]).unwrap().database.is_some());
        let mistakes = read(&["--database-url", "", "--ingest-connections", "0"]).unwrap_err().to_string();
        assert!(mistakes.contains("DATABASE_URL is not set") && mistakes.contains("INGEST_CONNECTIONS must"));
        assert!(!mistakes.contains("DISCORD_TOKEN") && !mistakes.contains("DCE_BIN"));
    }

    #[test]
    fn without_a_path_there_is_nothing_to_import() {
        assert!(CommandLine::try_parse_from(["import", "--dry-run"]).is_err());
    }
}
