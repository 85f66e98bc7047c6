//! `dce-worker import` with real files, processes and a Postgres: what is imported, printed and kept.
#![expect(clippy::unwrap_used, reason = "a test ends where its story breaks")]

mod command_line;
mod damage;
mod forms;
mod interrupted;
mod recordings;
mod support;
mod update;
