//! The stand-in against the recordings of the real DCE.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod call;
mod case;
mod endings;
mod recorded;
mod recorded_2_48;
mod selection;
mod signals;
