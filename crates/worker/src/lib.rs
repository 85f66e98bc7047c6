//! A worker: runs `DiscordChatExporter` and streams what it writes into Postgres.

pub mod config;
pub mod dce;
pub mod ingest;
pub mod lease;
pub mod maintain;
pub mod outcome;
pub mod run;
pub mod runtime;
pub mod shared;
pub mod watch;
