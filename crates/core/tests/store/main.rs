//! The store, the queue and the schema against a real Postgres, as workers and the API use them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its story breaks")]

mod admission;
mod archive;
mod control;
mod coverage;
mod erasing;
mod fences;
mod imports;
mod listing;
mod looks;
mod pruning;
mod queue;
mod races;
mod reading;
mod reading_plans;
mod rescue;
mod retention;
mod schema;
mod sessions;
mod states;
mod stories;
mod support;
mod warnings;
mod windows;
