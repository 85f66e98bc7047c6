//! The free space where attempts write: whether new ones may start and running ones may go on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dce_core::settings::ByteSize;
use nix::sys::statvfs::statvfs;

/// What the free space allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Attempts may start.
    Enough,
    /// It was low and is not yet well above the limit: no attempt starts, those that run go on.
    Scarce,
    /// No attempt starts, and those that run are stopped.
    Low {
        /// What an unprivileged process can still write.
        free: ByteSize,
        /// What should be free at least.
        least: ByteSize,
    },
}

impl Room {
    /// Decides what comes after `self`. Attempts that are stopped give their space back: a start at the bare limit
    /// would be stopped again at once, so enough is a quarter more.
    #[must_use]
    pub const fn after(self, free: ByteSize, least: ByteSize) -> Self {
        if free.0 < least.0 {
            Self::Low { free, least }
        } else if matches!(self, Self::Enough) || free.0 >= least.0.saturating_add(least.0 / 4) {
            Self::Enough
        } else {
            Self::Scarce
        }
    }
}

/// Looks after the free space of one file system.
#[derive(Debug)]
pub struct DiskGuard {
    path: PathBuf,
    least: ByteSize,
    room: Mutex<Room>,
}

impl DiskGuard {
    /// Guards the file system of `path`. `least` of 0: there is always enough.
    pub const fn new(path: PathBuf, least: ByteSize) -> Self {
        Self { path, least, room: Mutex::new(Room::Enough) }
    }

    /// Looks now, and logs when it stops or begins to be enough. Blocks on the disk. What cannot be looked at tells
    /// nothing: it stays as it was, and whoever writes there meets the error.
    pub fn look(&self) -> Room {
        if self.least.0 == 0 {
            return Room::Enough;
        }
        let Ok(free) = free_space(&self.path) else { return self.room() };
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *room;
        *room = before.after(free, self.least);
        let (free_bytes, least_bytes) = (free.0, self.least.0);
        match (before, *room) {
            (Room::Enough, Room::Low { .. }) => {
                tracing::warn!(
                    free_bytes,
                    least_bytes,
                    "disk.low: no attempt starts, running ones are stopped"
                );
            }
            (Room::Low { .. } | Room::Scarce, Room::Enough) => {
                tracing::info!(free_bytes, least_bytes, "disk.enough");
            }
            _ => {}
        }
        *room
    }

    /// What the last look found.
    pub fn room(&self) -> Room {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an unprivileged process can still write to the file system of `path`, quotas aside.
pub fn free_space(path: &Path) -> io::Result<ByteSize> {
    let system = statvfs(path)?;
    Ok(ByteSize(system.blocks_available().saturating_mul(system.fragment_size())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use super::*;

    const LEAST: ByteSize = ByteSize(1000);

    #[test]
    fn enough_comes_back_a_quarter_above_the_limit() {
        let low = |free| Room::Low { free: ByteSize(free), least: LEAST };
        let steps = [
            (1249, Room::Enough),
            (1000, Room::Enough),
            (999, low(999)),
            (0, low(0)),
            (1000, Room::Scarce),
            (1249, Room::Scarce),
            (999, low(999)),
            (1250, Room::Enough),
            (1001, Room::Enough),
        ];
        let mut room = Room::Enough;
        for (free, expected) in steps {
            room = room.after(ByteSize(free), LEAST);
            assert_eq!(room, expected, "{free} bytes free");
        }
    }

    #[test]
    fn a_limit_of_zero_is_no_limit_and_one_above_the_disk_is_always_low() {
        let folder = tempfile::tempdir().unwrap();
        let guard = |least| DiskGuard::new(folder.path().to_owned(), ByteSize(least));
        assert_eq!(guard(0).look(), Room::Enough);
        assert_eq!(guard(1).look(), Room::Enough);
        let above = guard(u64::MAX);
        assert!(matches!(above.look(), Room::Low { free, .. } if free.0 > 0), "{:?}", above.room());
        assert_eq!(above.room(), above.room.lock().map(|room| *room).unwrap());
    }

    #[test]
    fn a_folder_that_is_gone_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let guard = DiskGuard::new(folder.path().join("gone"), ByteSize(u64::MAX));
        assert_eq!(guard.look(), Room::Enough);
    }

    /// A small file system of its own, which only root can have.
    struct SmallDisk(tempfile::TempDir);

    impl SmallDisk {
        fn mount() -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
                .arg(folder.path())
                .stderr(Stdio::null())
                .status();
            mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(self.0.path()).status();
        }
    }

    #[test]
    fn a_disk_that_fills_is_low_until_there_is_space_again() {
        let Some(disk) = SmallDisk::mount() else {
            eprintln!("not run: only root can mount a small disk");
            return;
        };
        let folder = disk.0.path();
        let guard = DiskGuard::new(folder.to_owned(), ByteSize(4 << 20));
        assert_eq!(guard.look(), Room::Enough);
        let filler = folder.join("filler");
        fs::write(&filler, vec![1; 5 << 20]).unwrap();
        assert_eq!(guard.look(), Room::Low { free: ByteSize(3 << 20), least: ByteSize(4 << 20) });
        fs::write(&filler, vec![1; (7 << 20) / 2]).unwrap();
        assert_eq!(guard.look(), Room::Scarce);
        fs::remove_file(&filler).unwrap();
        assert_eq!(guard.look(), Room::Enough);
    }
}
