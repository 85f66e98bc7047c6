//! `/exports`: one file for each operation.

mod accepted;
pub(super) mod cancel;
mod control_response;
pub(super) mod create;
pub(super) mod events;
pub(super) mod get;
pub(super) mod job_id;
pub(super) mod list;
pub(super) mod retry;
