//! From the bytes DCE writes to rows in Postgres.

mod append;
pub mod batch;
pub mod books;
mod document;
mod erasure;
mod essence;
pub mod frame;
mod grammar;
pub mod header;
mod id_range;
pub mod lanes;
pub mod ledger;
mod members;
pub mod message;
mod missing;
pub mod notice;
mod object;
mod probe;
pub mod reader;
mod rows;
mod scan;
pub mod sessions;
mod text;
mod tokens;
mod users;
mod write_error;
pub mod writer;
