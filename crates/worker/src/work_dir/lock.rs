//! The lock files that tell the folders of living workers from those of dead ones.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use super::not_found::ignore_not_found;

/// A sweep may hold a new worker's lock for a moment, until it sees that there is nothing to remove.
const LOCK_ATTEMPTS: u32 = 200;
/// Pause between two attempts to lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

pub(super) fn lock_path(root: &Path, worker_id: &str) -> PathBuf {
    root.join(format!("{worker_id}.lock"))
}

/// Locks the file; `WouldBlock` if another process holds the lock.
pub(super) fn acquire(path: &Path) -> io::Result<File> {
    for _ in 0..LOCK_ATTEMPTS {
        if let Some(lock) = try_acquire(path)? {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process uses this worker's id"))
}

/// Returns `None` if another process holds the lock.
pub(super) fn try_acquire(path: &Path) -> io::Result<Option<File>> {
    loop {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The holder may have deleted the file between the two steps; the lock of a deleted file excludes nobody.
        if is_at(&lock, path)? {
            return Ok(Some(lock));
        }
    }
}

/// Whether this file is still the one at the path.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    let there = ignore_not_found(fs::symlink_metadata(path))?;
    Ok(there.is_some_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// Whether the file may be a lock: locks are empty.
pub(super) fn is_lock(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.len() == 0
}
