//! From the JSON of a message to its columns, its quality and its differences.

pub mod columns;
pub mod diff;
pub mod placeholder;
pub mod quality;

mod timestamp;
