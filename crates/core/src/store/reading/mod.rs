//! Reads for clients: exports and their changes, archived channels and messages.

pub mod blockers;
pub mod change_token;
pub mod channels;
pub mod export;
pub mod export_list;
mod like;
pub mod messages;
