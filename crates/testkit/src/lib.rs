//! What tests share: a database of their own, processes that end with them, a stand-in for `DiscordChatExporter`,
//! a proxy that fails on demand.

pub mod database;
pub mod process;
pub mod proxy;
pub mod scenario;
pub mod service;
