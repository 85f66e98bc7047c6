//! REST API: takes export requests, shows what became of them.

pub mod auth;
pub mod body;
pub mod browser;
pub mod compression;
pub mod config;
pub mod cursor;
pub mod healthcheck;
pub mod idempotency;
pub mod live;
pub mod openapi;
pub mod problem;
pub mod query;
pub mod rate_limit;
pub mod reading;
pub mod representation;
pub mod request_id;
pub mod request_log;
pub mod retention;
pub mod routes;
pub mod search_index;
pub mod startup;
pub mod state;
pub mod wire;
