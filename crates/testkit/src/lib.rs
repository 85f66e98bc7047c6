//! Test support: a database per test, processes that end with their test, a proxy that fails on demand, a fake Discord.

pub mod database;
pub mod discord;
pub mod launch;
pub mod process;
pub mod proxy;
pub mod service;
pub mod small_disk;
