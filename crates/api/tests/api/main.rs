//! The API from outside: the real program, real sockets, a real database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what it does not expect")]

mod control;
mod exports;
mod lifecycle;
mod messages;
mod outages;
mod problems;
mod proxy;
mod request_ids;
mod retention;
mod settings;
mod streams;
mod support;
mod waiting;
