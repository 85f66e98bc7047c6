//! The API from outside: the real program, real sockets, a real database.

mod exports;
mod lifecycle;
mod outages;
mod problems;
mod proxy;
mod request_ids;
mod settings;
mod support;
