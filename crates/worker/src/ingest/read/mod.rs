//! From the bytes of a source to batches, on two threads.

mod batcher;
mod block;
pub mod delivery;
mod framing_loop;
mod idle_wait;
pub(super) mod reader;
pub mod source;
