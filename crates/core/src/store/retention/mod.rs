//! Deletion of messages and exports, a few thousand rows to a transaction.

pub mod batched_deletion;
pub mod erasures;
pub mod prune;
pub mod purge;
