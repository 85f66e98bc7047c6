//! The API from outside: the real program, real sockets, a real database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what it does not expect")]

mod control;
mod events;
mod exports;
mod lifecycle;
mod listing;
mod outages;
mod problems;
mod proxy;
mod request_ids;
mod retention;
mod settings;
mod sse;
mod support;
mod view;
mod waiting;
