//! From the columns of messages to rows of a binary COPY stream.

pub mod batch;
pub mod summary;

mod row_encoder;
