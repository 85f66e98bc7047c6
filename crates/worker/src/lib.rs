//! A worker: runs `DiscordChatExporter` and streams what it writes into Postgres.

pub mod allocator;
mod attempt;
pub mod breaker;
pub mod config;
pub mod dce;
pub mod disk;
pub mod import;
pub mod ingest;
pub mod lease;
pub mod maintain;
pub mod outage;
pub mod outcome;
pub mod run;
pub mod runtime;
pub mod shared;
pub mod shutdown;
pub mod watch;
pub mod work_dir;
