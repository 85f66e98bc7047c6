//! The stand-in against the recordings of the real DCE 2.47.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

#[path = "standin/call.rs"]
mod call;
#[path = "standin/endings.rs"]
mod endings;
#[path = "standin/recorded.rs"]
mod recorded;
#[path = "standin/selection.rs"]
mod selection;
#[path = "standin/signals.rs"]
mod signals;
