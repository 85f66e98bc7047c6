//! Why a batch was not written.

use dce_core::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The fence did not hold: another worker owns the run. Nothing of the batch is stored.
    #[error("the run no longer belongs to this worker")]
    Lost,
    /// The database was unreachable for longer than a batch is retried.
    #[error("the database is unreachable: {0}")]
    Unavailable(#[source] StoreError),
    #[error("the database is read-only: {0}")]
    ReadOnly(#[source] StoreError),
    /// The database answers, but lacked a resource for longer than a batch is retried.
    #[error("the database lacks a resource: {0}")]
    Exhausted(#[source] StoreError),
    #[error("the database refused the rows: {0}")]
    Refused(#[source] StoreError),
}
