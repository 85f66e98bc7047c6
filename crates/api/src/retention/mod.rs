//! `dce-api prune` and `dce-api purge`: deleting what is old, and erasing for good (docs/retention.md). Without `--yes`
//! they only count.

pub mod arguments;
mod pace;
mod prune;
mod purge;
mod words;

use std::io::Write;
use std::time::Duration;

use dce_core::db::{DatabaseUrl, DbError, PgConnection, connect_maintenance};
use dce_core::store::StoreError;
use dce_core::store::retention::erasures::Subject;

pub use prune::prune;
pub use purge::purge;

/// Ends what a look has found.
const NOTHING_DONE: &str = "Nothing was changed. Repeat the command with --yes to do it.";

/// Why a command did not come to its end. All of them can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The database is away.
    #[error(transparent)]
    Connect(#[from] DbError),
    /// Nobody ran the migrations.
    #[error("the database's schema is not up to date: run `dce-api migrate` first")]
    SchemaMissing(#[source] StoreError),
    /// A statement failed, or others held a row for long.
    #[error("the database failed; what is done stays done, and the command can be repeated: {0}")]
    Store(#[source] StoreError),
    /// Somebody still wrote who may not know of the erasure.
    #[error(
        "{subject} is recorded as erased, but nothing is deleted yet: a batch that was being written before has not \
         ended within {} s; repeat the command", .limit.as_secs()
    )]
    BatchUnderWay {
        /// What was to be erased.
        subject: Subject,
        /// How long it was waited for.
        limit: Duration,
    },
}

impl From<StoreError> for RetentionError {
    fn from(error: StoreError) -> Self {
        if error.is_schema_missing() { Self::SchemaMissing(error) } else { Self::Store(error) }
    }
}

async fn connect(url: &DatabaseUrl) -> Result<PgConnection, DbError> {
    connect_maintenance(url, "dce-api retention").await
}

/// A result. Nobody reads what a closed pipe would have taken; the exit code still tells.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
