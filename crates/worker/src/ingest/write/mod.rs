//! From batches to Postgres: rows, counters and cursor in one transaction.

mod batch_writer;
mod channel;
pub mod checkpoint;
mod copy;
mod erasure;
pub mod error;
mod existing_rows;
mod id_range;
mod insert;
mod low_water_mark;
mod missing;
pub(super) mod parallel_writer;
pub mod sessions;
pub mod window_end;

pub(super) use batch_writer::BatchWriter;
