//! SQL of the batches that a run writes: lookup of archived messages, COPY, marks of missing messages, the channel.

pub mod archived;
pub mod channel;
pub mod copy;
pub mod missing;
