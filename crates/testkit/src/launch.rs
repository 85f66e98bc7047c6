//! How tests start API and workers.

use std::path::Path;

use dce_local::{Launch, LaunchError, Program};
use dce_standin::scenario::ScenarioDir;

/// An API on a free port without a rate limit, which logs JSON and reads no `.env`.
pub fn api(database_url: &str) -> Result<Launch, LaunchError> {
    let settings = [("DATABASE_URL", database_url), ("PORT", "0"), ("RATE_LIMIT_PER_MINUTE", "0")];
    Launch::new(Program::Api, settings.into_iter().chain(COMMON))
}

/// A worker that runs the stand-in of `scenario`, logs JSON and reads no `.env`.
pub fn worker(database_url: &str, scenario: &ScenarioDir, work_dir: &Path) -> Result<Launch, LaunchError> {
    let (dce_bin, work_dir) = (scenario.dce_bin().display().to_string(), work_dir.display().to_string());
    let settings = [
        ("DATABASE_URL", database_url),
        ("DISCORD_TOKEN", "the-stand-in-accepts-any-token"),
        ("DCE_BIN", &dce_bin),
        ("WORK_DIR", &work_dir),
    ];
    Launch::new(Program::Worker, settings.into_iter().chain(COMMON))
}

const COMMON: [(&str, &str); 2] = [("LOG_FORMAT", "json"), ("DOTENV", "false")];

/// Adds settings, which win over earlier ones of the same name.
pub fn with<K: Into<String>, V: Into<String>>(
    mut launch: Launch,
    settings: impl IntoIterator<Item = (K, V)>,
) -> Launch {
    launch.environment.extend(settings.into_iter().map(|(name, value)| (name.into(), value.into())));
    launch
}
