//! How writing a batch can end badly.

use dce_core::store::StoreError;

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The fence did not hold: somebody else owns the run. Nothing of the batch is stored.
    #[error("the run is no longer this worker's")]
    Lost,
    /// The database was away for longer than a batch is repeated.
    #[error("the database is away: {0}")]
    Unavailable(#[source] StoreError),
    /// The database takes no writes.
    #[error("the database is read-only: {0}")]
    ReadOnly(#[source] StoreError),
    /// The database answers, but lacked what it needs for longer than a batch is repeated.
    #[error("the database is short of something: {0}")]
    Exhausted(#[source] StoreError),
    /// The database refused the rows.
    #[error("the database refused the rows: {0}")]
    Refused(#[source] StoreError),
}
