//! Scenario files of `dce-standin` and directories to call it from; the program itself is `main.rs`.

pub mod random;
pub mod scenario;
