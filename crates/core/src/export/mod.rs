//! What is exported, and the decisions about it: pure, without IO.

pub mod admission;
pub mod conflict;
pub mod failure;
pub mod import;
pub mod rate_limit;
pub mod request;
pub mod state;
pub mod warnings;
