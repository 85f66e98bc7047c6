//! Output and errors of the one-off commands: `prune`, `purge` and `index`.

use std::io::Write;
use std::time::Duration;

use dce_core::db::DbError;
use dce_core::store::StoreError;
use dce_core::store::retention::erasures::Subject;

/// Why a command did not finish. Every command can be repeated.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Connect(#[from] DbError),
    #[error("the database's schema is not up to date: run `dce-api migrate` first")]
    SchemaMissing(#[source] StoreError),
    /// A statement failed, or another session held a row for too long.
    #[error("the database failed; work done so far is kept, and the command can be repeated: {0}")]
    Store(#[source] StoreError),
    /// An open batch may not know of the erasure yet.
    #[error(
        "{subject} is recorded as erased, but nothing is deleted yet: a batch that was being written before has not \
         ended within {} s; repeat the command", .waited.as_secs()
    )]
    BatchInProgress { subject: Subject, waited: Duration },
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        if error.is_schema_missing() { Self::SchemaMissing(error) } else { Self::Store(error) }
    }
}

/// Prints a result. A closed pipe is ignored: nobody reads the output, and the exit code still reports the outcome.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
