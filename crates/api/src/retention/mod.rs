//! `dce-api prune` deletes old data, `dce-api purge` erases for good (docs/retention.md). Without `--yes` both only count.

pub mod arguments;
mod format;
mod prune;
mod purge;
mod throttle;

use dce_core::db::{DatabaseUrl, DbError, PgConnection, connect_maintenance};

pub use prune::prune;
pub use purge::purge;

/// Last line of a dry run.
const NOTHING_DONE: &str = "Nothing was changed. Repeat the command with --yes to do it.";

async fn connect(url: &DatabaseUrl) -> Result<PgConnection, DbError> {
    connect_maintenance(url, "dce-api retention").await
}
