//! What tests share: a database of their own, processes that end with them, a stand-in for `DiscordChatExporter`.

pub mod database;
pub mod process;
pub mod scenario;
pub mod service;
