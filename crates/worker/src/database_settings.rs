//! Settings of the database, which the worker and `dce-worker import` share.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use clap::Args;
use dce_core::db::DatabaseUrl;
use dce_core::settings::SettingsParser;

/// The settings as text.
#[derive(Args)]
pub(crate) struct DatabaseArguments {
    /// Postgres URL, such as postgres://user:password@host:5432/database. On Supabase, use the session pooler (port 5432),
    /// never port 6543. Required
    #[arg(long, env, hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Number of Postgres connections that write messages, 1 to 8, shared by all runs of this process
    #[arg(long, env, hide_env_values = true, value_name = "N", default_value = "2")]
    ingest_connections: String,
    /// Migrate the database schema at start
    #[arg(long, env, hide_env_values = true, value_name = "BOOL", default_value = "true")]
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
