//! `dce-worker import` on real files, processes and a Postgres: what goes in, what is told, what is kept.
#![expect(clippy::unwrap_used, reason = "a test ends where its story breaks")]

mod command_line;
mod damage;
mod forms;
mod interrupted;
mod recordings;
mod support;
mod update;
