//! The API from outside: the real program, real sockets, a real database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what it does not expect")]

mod auth;
mod browser;
mod control;
mod events;
mod exports;
mod idempotency;
mod lifecycle;
mod listing;
mod messages;
mod outages;
mod problems;
mod proxy;
mod rate_limit;
mod request_ids;
mod retention;
mod schemathesis;
mod search_index;
mod settings;
mod sse;
mod streams;
mod support;
mod view;
mod waiting;
