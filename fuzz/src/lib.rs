//! What the fuzz targets share: a reader that checks the framer's promises, a second opinion on what a
//! document says, documents in DCE's layout, and the way of a message into a row.
//!
//! Everything here panics when a promise is broken: that is what the fuzzer looks for.

pub mod document;
pub mod oracle;
pub mod reading;
pub mod rows;
pub mod strict;
