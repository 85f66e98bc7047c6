//! Shared by API and worker: states, tables, queue, settings, logs.

pub use dce_snowflake as ids;

pub mod db;
pub mod export;
pub mod notifications;
pub mod queue;
pub mod schema;
pub mod settings;
pub mod store;
pub mod telemetry;
