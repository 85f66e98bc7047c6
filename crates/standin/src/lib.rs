//! Scenario files of `dce-standin`, directories to call it from, and the messages of their channels; the program itself
//! is `main.rs`.

pub mod header;
pub mod random;
pub mod scenario;
pub mod snowflake;
pub mod source;
