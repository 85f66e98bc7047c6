//! The stand-in where it asks Discord itself: against the fake Discord, it does what the real DCE was recorded to do.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod call;
mod connections;
mod losses;
mod questions;
mod recorded;
mod starters;
