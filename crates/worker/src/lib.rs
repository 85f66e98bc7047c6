//! The worker: runs `DiscordChatExporter` and streams its output into Postgres.

pub mod allocator;
mod attempt;
pub mod attempt_outcome;
pub mod check;
mod claim_loop;
mod conclusion;
pub mod context;
pub mod database_health;
mod database_settings;
pub mod dce;
pub mod discord_access;
mod discord_settings;
pub mod disk_space;
pub mod import;
pub mod ingest;
pub mod lease;
pub mod maintenance;
pub mod proof;
pub mod run;
pub mod runtime;
pub mod settings;
pub mod shutdown;
pub mod token_breaker;
mod token_probe;
pub mod watchdog;
pub mod work_dir;
