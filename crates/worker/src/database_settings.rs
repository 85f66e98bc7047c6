//! Settings of the database, which the worker and `dce-worker import` share.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use clap::Args;
use dce_core::db::DatabaseUrl;
use dce_core::settings::SettingsParser;

/// The settings as text.
#[derive(Args)]
pub(crate) struct DatabaseArguments {
    /// Postgres URL: postgres://user:password@host:5432/database. On Supabase use the session pooler (port 5432), never port 6543.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Number of database sessions that write messages, shared by all runs of this process.
    #[arg(long, env = "INGEST_CONNECTIONS", default_value = "2")]
    ingest_connections: String,
    /// Migrate the database schema at start.
    #[arg(long, env = "MIGRATE_ON_START", default_value = "true")]
    migrate_on_start: String,
}

impl DatabaseArguments {
    pub(crate) fn url(&self, parser: &mut SettingsParser, remedy: &str) -> Option<DatabaseUrl> {
        let url = parser.required("DATABASE_URL", self.database_url.clone(), remedy)?;
        DatabaseUrl::parse(&url).map_err(|error| parser.mistake("DATABASE_URL", error)).ok()
    }

    pub(crate) fn ingest_connections(&self, parser: &mut SettingsParser) -> Option<u32> {
        parser.number("INGEST_CONNECTIONS", &self.ingest_connections, 1..=8)
    }

    pub(crate) fn migrate(&self, parser: &mut SettingsParser) -> Option<bool> {
        parser.flag("MIGRATE_ON_START", &self.migrate_on_start)
    }
}
