//! The stand-in against the recordings of the real DCE 2.47.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod call;
mod endings;
mod recorded;
mod selection;
mod signals;
