//! SQL of the batches that a run writes: lookup of archived messages, marks of missing messages, the channel.

pub mod absent;
pub mod archived;
pub mod channel;
pub mod missing;
