//! Exports live: every change of state as it is committed, progress once a second, to any number of clients.
//!
//! One session listens for the changes of all exports; one task reads each watched export after a change, and asks once a
//! second whether any has come further. What it reads is shared by all clients (`log`); each of them takes from there
//! what it has not got yet, at its own pace (`stream`). A client that is slow gets fewer snapshots; memory per client is
//! that of its connection.

pub mod event;
mod hub;
mod listener;
mod log;
mod stream;

pub use hub::{Hub, Watcher};
pub use stream::Events;
