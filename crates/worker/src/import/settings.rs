//! Settings of `dce-worker import`: paths on the command line, the rest in the environment.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dce_core::db::DatabaseUrl;
use dce_core::export::conflict::OnConflict;
use dce_core::settings::{Mistakes, SettingsParser};
use dce_core::store::transitions::RunOptions;
use dce_core::telemetry::LogFormat;

use crate::database_settings::DatabaseArguments;

/// Arguments of `import`.
#[derive(Args)]
#[command(
    after_help = "RUST_LOG sets the log filter, such as info. Unset: off on a terminal, warn elsewhere.\n\
                  A .env file in the working directory is read unless DOTENV=false."
)]
pub struct ImportArguments {
    /// JSON exports by DiscordChatExporter 2.30 or later: .json and .json.gz files, .zip archives, and folders with
    /// everything below them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only list the exports found. Needs no DATABASE_URL
    #[arg(long)]
    pub dry_run: bool,
    /// Handling of messages that are already archived: ignore keeps them; update replaces those of which a newer file has
    /// a different version
    #[arg(long, value_name = "POLICY", default_value = "ignore", value_parser = on_conflict())]
    pub on_conflict: OnConflict,
    /// Keep replaced versions of messages in the table message_versions. Needs --on-conflict update
    #[arg(long)]
    pub keep_versions: bool,
    #[command(flatten)]
    raw: RawSettings,
}

fn on_conflict() -> impl TypedValueParser<Value = OnConflict> {
    // The parser accepts only these names.
    PossibleValuesParser::new(OnConflict::NAMES).map(|name| OnConflict::parse(&name).unwrap_or_default())
}

/// The settings as text.
#[derive(Args)]
struct RawSettings {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Log format: json or pretty. Unset: pretty on a terminal, json elsewhere. The log goes to stderr
    #[arg(long, env, hide_env_values = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Has no effect as a flag: the log reads the variable
    #[arg(long = "rust-log", env = "RUST_LOG", hide = true)]
    _rust_log: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ImportSettings {
    /// `None` for a dry run.
    pub database: Option<DatabaseUrl>,
    pub ingest_connections: u32,
    pub migrate: bool,
    pub log_format: LogFormat,
    pub options: RunOptions,
}

impl ImportArguments {
    /// Parses all settings, or reports every mistake. `terminal`: the log goes to a terminal.
    pub fn settings(&self, terminal: bool) -> Result<ImportSettings, Mistakes> {
        let mut parser = SettingsParser::default();
        let settings = self.parse_with(&mut parser, terminal);
        parser.finish(settings)
    }

    fn parse_with(&self, parser: &mut SettingsParser, terminal: bool) -> Option<ImportSettings> {
        let raw = &self.raw;
        let database = if self.dry_run {
            Some(None)
        } else {
            raw.database
                .url(parser, "set it to the URL of the Postgres to import into, postgres://…")
                .map(Some)
        };
        let ingest_connections = raw.database.ingest_connections(parser);
        let migrate = raw.database.migrate(parser);
        let default_format = if terminal { LogFormat::Pretty } else { LogFormat::Json };
        let log_format =
            raw.log_format.as_ref().map_or(Some(default_format), |value| parser.parsed("LOG_FORMAT", value));
        if self.keep_versions && self.on_conflict == OnConflict::Ignore {
            parser.mistake("--keep-versions", "needs --on-conflict update, because ignore replaces nothing");
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
    fn only_a_dry_run_needs_no_database() {
        assert!(read(&["--dry-run"]).unwrap().database.is_none());
        assert!(read(&["--database-url", "postgres://h/d"]).unwrap().database.is_some());
        let mistakes = read(&["--database-url", "", "--ingest-connections", "0"]).unwrap_err().to_string();
        assert!(mistakes.contains("DATABASE_URL is not set") && mistakes.contains("INGEST_CONNECTIONS must"));
        assert!(!mistakes.contains("DISCORD_TOKEN") && !mistakes.contains("DCE_BIN"));
    }

    #[test]
    fn keep_versions_requires_on_conflict_update() {
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
    fn a_path_is_required() {
        assert!(CommandLine::try_parse_from(["import", "--dry-run"]).is_err());
    }
}
