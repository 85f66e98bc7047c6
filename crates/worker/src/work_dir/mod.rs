//! Folders under `WORK_DIR`: one for each worker, in it one for each attempt; and the removal of folders that dead
//! workers left.
//!
//! Workers of one machine may share `WORK_DIR`, and it may hold other files. A worker holds a lock on `{worker
//! id}.lock` as long as it lives: the kernel frees the lock however the worker dies, and the process that gets it owns
//! the folder `{worker id}`. Only the holder of the lock deletes the folder, then the file. All calls block on the
//! disk.

mod folder;
mod lock;
mod names;
mod not_found;
mod sweep;

pub use folder::WorkDir;
pub use names::attempt_name;
pub(crate) use not_found::ignore_not_found;
pub use sweep::{Swept, sweep};
