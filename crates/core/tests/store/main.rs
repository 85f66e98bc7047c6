//! The store, the queue and the schema against a real Postgres, as workers and the API use them.

mod admission;
mod coverage;
mod fences;
mod queue;
mod races;
mod rescue;
mod schema;
mod states;
mod support;
mod windows;
