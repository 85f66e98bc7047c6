//! Live exports: sends each committed change of state, and progress once a second, to any number of clients.
//!
//! One session receives the notifications of all exports. One task (`watcher`) reads each watched export after a change,
//! and polls all of them once a second for changes. All clients share what it reads (`history`). Each client's `stream`
//! sends what the client has not received yet, at the client's own pace: a slow client gets fewer snapshots. A client takes
//! no memory except that of its connection.

pub mod event;
mod history;
mod hub;
mod listener;
mod stream;
mod topic;
mod watcher;

pub use hub::Hub;
pub use stream::EventStream;
pub use watcher::Watcher;
