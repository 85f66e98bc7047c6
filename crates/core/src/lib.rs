//! What API and worker share: words, states, tables, queue.

pub mod db;
pub mod export;
pub mod ids;
pub mod notices;
pub mod queue;
pub mod schema;
pub mod settings;
pub mod store;
pub mod telemetry;
