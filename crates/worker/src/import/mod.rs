//! `dce-worker import`: writes existing exports into the same tables as live runs, by the same path (docs/import.md).
//!
//! [`plan`] opens every file once and decides what to import; [`importer`] makes one run of each source; [`dry_run`]
//! only lists them.

mod attempt;
mod candidate;
mod console;
mod detect_format;
mod document_location;
mod documents;
mod dry_run;
mod find_files;
mod format;
mod group_parts;
mod importer;
mod plan;
mod progress;
mod report;
pub mod settings;
mod source_outcome;
mod zip_archive;

use console::Console;
use importer::import;
use plan::plan_import;
use settings::{ImportArguments, ImportSettings};

use crate::shutdown::Shutdown;

/// Imports the paths in the arguments, or lists them for `--dry-run`. Returns whether everything was, or could be,
/// imported.
pub async fn command(
    arguments: ImportArguments,
    settings: &ImportSettings,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let console = Console::new();
    let planned = tokio::task::spawn_blocking(move || plan_import(&arguments.paths));
    let plan = tokio::select! {
        plan = planned => plan?,
        () = shutdown.in_order.cancelled() => anyhow::bail!("interrupted during the search for files"),
    };
    for refused in &plan.refused {
        console.print_error(&format!("{}: {}", refused.name, refused.reason));
    }
    let all = if settings.database.is_none() {
        plan.sources.iter().for_each(|source| console.print(&dry_run::line(source)));
        true
    } else {
        plan.sources.is_empty() || import(settings, &plan, &console, shutdown).await?
    };
    if plan.ignored > 0 {
        console.print(&format!("{} other files or media folders were ignored", plan.ignored));
    }
    Ok(all && plan.refused.is_empty())
}
