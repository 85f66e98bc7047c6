//! Exports and the decisions about them, without IO.

pub mod admission;
pub mod conflict;
pub mod failure;
pub mod phase;
pub mod rate_limit;
pub mod request;
pub mod retry;
mod sentences_macro;
pub mod state;
pub mod warnings;
