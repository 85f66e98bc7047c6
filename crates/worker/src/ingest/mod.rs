//! From the bytes DCE writes to rows in Postgres.

pub mod batch;
mod document;
pub mod frame;
mod grammar;
pub mod header;
pub mod lanes;
pub mod ledger;
pub mod message;
pub mod notice;
pub mod reader;
mod scan;
pub mod sessions;
mod text;
mod tokens;
mod users;
pub mod writer;
