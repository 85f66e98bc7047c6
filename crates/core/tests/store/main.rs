//! The store, the queue and the schema against a real Postgres, as workers and the API use them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at its first failure")]

mod admission;
mod archive_fixture;
mod batch_lookups;
mod completion;
mod concurrent_transitions;
mod control;
mod coverage;
mod export_lists;
mod fences;
mod imports;
mod lock_order;
mod page_plans;
mod pages;
mod phases;
mod prune;
mod purge;
mod queue;
mod queue_pruning;
mod rescue;
mod schema;
mod session_reuse;
mod short_output;
mod state_machine;
mod support;
mod waiting_for_proof;
mod warnings;
mod windows;
