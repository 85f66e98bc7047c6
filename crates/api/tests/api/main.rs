//! The API from outside: the real program, real sockets, a real database.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at what it does not expect")]

mod auth;
mod blockers;
mod cancel_and_retry;
mod cors_and_security_headers;
mod create;
mod events;
mod get;
mod idempotency;
mod lifecycle;
mod list;
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
