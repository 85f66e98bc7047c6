//! REST API: takes export requests, shows what became of them.

pub mod body;
pub mod config;
pub mod healthcheck;
pub mod problem;
pub mod request_id;
pub mod request_log;
pub mod retention;
pub mod routes;
pub mod startup;
pub mod state;
