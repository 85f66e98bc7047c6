//! From the bytes of a source to batches, on two threads.

mod batcher;
mod block;
pub mod delivery;
mod framing_loop;
mod idle_wait;
pub(super) mod message_filter;
pub(super) mod message_order;
pub(super) mod reader;
mod recent_ids;
pub mod source;
pub mod summary;
