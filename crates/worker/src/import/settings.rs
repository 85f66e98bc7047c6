//! What `dce-worker import` is told: paths on the command line, settings in the environment.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dce_core::db::DatabaseUrl;
use dce_core::export::conflict::OnConflict;
use dce_core::settings::{Mistakes, Reader};
use dce_core::store::runs::RunOptions;
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
    /// What becomes of messages that are archived already: ignore leaves them, update replaces those that differ from what a newer file says.
    #[arg(long, value_name = "WHAT", default_value = "ignore", value_parser = on_conflict())]
    pub on_conflict: OnConflict,
    /// Keep what an update replaces, in message_versions.
    #[arg(long)]
    pub keep_versions: bool,
    #[command(flatten)]
    raw: RawSettings,
}

fn on_conflict() -> impl TypedValueParser<Value = OnConflict> {
    // One of these names: the parser has seen to it.
    PossibleValuesParser::new(OnConflict::NAMES).map(|name| OnConflict::parse(&name).unwrap_or_default())
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
    /// What becomes of messages that are archived already.
    pub options: RunOptions,
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
        if self.keep_versions && self.on_conflict == OnConflict::Ignore {
            reader.mistake("--keep-versions", "needs --on-conflict update: without it nothing is replaced");
        }
        Some(ImportSettings {
            database: database?,
            ingest_connections: ingest_connections?,
            migrate: migrate?,
            log_format: log_format?,
            options: RunOptions {
                on_conflict: self.on_conflict,
                keep_versions: self.keep_versions,
                ..RunOptions::default()
            },
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
    fn versions_are_kept_of_what_is_replaced() {
        let options =
            |arguments: &[&str]| read(&[&["--dry-run"], arguments].concat()).map(|settings| settings.options);
        assert_eq!(options(&[]).unwrap(), RunOptions::default());
        let updating = options(&["--on-conflict", "update", "--keep-versions"]).unwrap();
        assert_eq!((updating.on_conflict, updating.keep_versions), (OnConflict::Update, true));
        let mistakes = options(&["--keep-versions"]).unwrap_err().to_string();
        assert!(mistakes.contains("--keep-versions needs --on-conflict update"), "{mistakes}");
        assert!(CommandLine::try_parse_from(["import", "x", "--on-conflict", "replace"]).is_err());
    }

    #[test]
    fn without_a_path_there_is_nothing_to_import() {
        assert!(CommandLine::try_parse_from(["import", "--dry-run"]).is_err());
    }
}
