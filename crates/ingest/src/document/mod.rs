//! From the bytes of a DCE document to whole messages.

pub mod frame;
pub mod framer;
pub mod header;
