//! `dce-worker import`: exports that users already have, into the same tables and by the same path as live runs
//! (docs/import.md).
//!
//! [`survey`] opens every file once and says what there is; [`run`] makes one run of each source; [`listing`] only tells.

mod archive;
mod attempt;
pub mod bytes;
mod documents;
pub mod find;
pub mod listing;
pub mod outcome;
pub mod parts;
pub mod progress;
pub mod recognise;
pub mod run;
pub mod screen;
pub mod settings;
pub mod survey;

use run::import;
use screen::Screen;
use settings::{ImportArguments, ImportSettings};
use survey::{Survey, survey};

use crate::shutdown::Shutdown;

/// Imports, or lists, what the arguments name. Returns whether all of it went in, or could.
pub async fn command(
    arguments: ImportArguments,
    settings: &ImportSettings,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let screen = Screen::new();
    let surveyed = tokio::task::spawn_blocking(move || survey(&arguments.paths));
    let found = tokio::select! {
        found = surveyed => found?,
        () = shutdown.in_order.cancelled() => anyhow::bail!("interrupted while the files were looked for"),
    };
    for refused in &found.refused {
        screen.warn(&format!("{}: {}", refused.name, refused.refusal));
    }
    let all = if settings.database.is_none() {
        found.sources.iter().for_each(|source| screen.tell(&listing::line(source)));
        true
    } else {
        found.sources.is_empty() || import(settings, &found, &screen, shutdown).await?
    };
    tell_rest(&found, &screen);
    Ok(all && found.refused.is_empty())
}

fn tell_rest(found: &Survey, screen: &Screen) {
    if found.passed_over > 0 {
        screen.tell(&format!("{} other files or media folders were passed over", found.passed_over));
    }
}
