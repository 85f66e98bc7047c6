//! From the bytes of a DCE document to rows of a COPY stream, without IO.
//!
//! [`document`] cuts bytes into whole messages, [`message`] reads a message's columns, [`copy`] encodes them as rows.
//! [`json`] reads the JSON underneath.

pub mod copy;
pub mod document;
pub mod message;

mod json;

pub use json::key_order::{Member, Members};
