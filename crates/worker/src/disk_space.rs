//! Free space of `WORK_DIR`: whether attempts may start and continue.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dce_core::settings::ByteSize;
use nix::sys::statvfs::statvfs;

/// Whether the free space is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskSpace {
    /// Attempts may start.
    Enough,
    /// It was low and is not yet well above the limit: no attempt starts, running ones continue.
    Scarce,
    /// No attempt starts, and running ones are stopped.
    Low {
        /// Space that an unprivileged process can still use.
        free: ByteSize,
        /// The limit, `MIN_FREE_DISK`.
        least: ByteSize,
    },
}

impl DiskSpace {
    /// Returns the state after `self`. Stopped attempts free their space, and an attempt that starts at the limit would
    /// be stopped again at once, so the state returns to `Enough` only a quarter above the limit.
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

/// Monitors the free space of one file system.
#[derive(Debug)]
pub struct DiskMonitor {
    path: PathBuf,
    least: ByteSize,
    last: Mutex<DiskSpace>,
}

impl DiskMonitor {
    /// Monitors the file system of `path`. `least` of 0: no limit.
    pub const fn new(path: PathBuf, least: ByteSize) -> Self {
        Self { path, least, last: Mutex::new(DiskSpace::Enough) }
    }

    /// Measures the free space and logs a change. Blocks on the disk. If the file system cannot be read, the last state
    /// stays: the writers meet the error.
    pub fn check(&self) -> DiskSpace {
        if self.least.0 == 0 {
            return DiskSpace::Enough;
        }
        let Ok(free) = free_space(&self.path) else { return self.last_known() };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *last;
        *last = before.after(free, self.least);
        let (free_bytes, least_bytes) = (free.0, self.least.0);
        match (before, *last) {
            (DiskSpace::Enough, DiskSpace::Low { .. }) => {
                let consequence = "no attempt starts, and running ones are stopped";
                tracing::warn!(free_bytes, least_bytes, consequence, "disk.low");
            }
            (DiskSpace::Low { .. } | DiskSpace::Scarce, DiskSpace::Enough) => {
                tracing::info!(free_bytes, least_bytes, "disk.enough");
            }
            _ => {}
        }
        *last
    }

    /// The state at the last check.
    pub fn last_known(&self) -> DiskSpace {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The space that an unprivileged process can still use on the file system of `path`, without quotas.
pub fn free_space(path: &Path) -> io::Result<ByteSize> {
    let system = statvfs(path)?;
    Ok(ByteSize(system.blocks_available().saturating_mul(system.fragment_size())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dce_testkit::small_disk::SmallDisk;

    use super::*;

    const LEAST: ByteSize = ByteSize(1000);

    #[test]
    fn low_space_is_enough_again_a_quarter_above_the_limit() {
        let low = |free| DiskSpace::Low { free: ByteSize(free), least: LEAST };
        let steps = [
            (1249, DiskSpace::Enough),
            (1000, DiskSpace::Enough),
            (999, low(999)),
            (0, low(0)),
            (1000, DiskSpace::Scarce),
            (1249, DiskSpace::Scarce),
            (999, low(999)),
            (1250, DiskSpace::Enough),
            (1001, DiskSpace::Enough),
        ];
        let mut space = DiskSpace::Enough;
        for (free, expected) in steps {
            space = space.after(ByteSize(free), LEAST);
            assert_eq!(space, expected, "{free} bytes free");
        }
    }

    #[test]
    fn a_limit_of_zero_is_never_low_and_one_above_the_disk_is_always_low() {
        let folder = tempfile::tempdir().unwrap();
        let monitor = |least| DiskMonitor::new(folder.path().to_owned(), ByteSize(least));
        assert_eq!(monitor(0).check(), DiskSpace::Enough);
        assert_eq!(monitor(1).check(), DiskSpace::Enough);
        let above = monitor(u64::MAX);
        assert!(
            matches!(above.check(), DiskSpace::Low { free, .. } if free.0 > 0),
            "{:?}",
            above.last_known()
        );
        assert_eq!(above.last_known(), above.last.lock().map(|last| *last).unwrap());
    }

    #[test]
    fn a_missing_folder_leaves_the_last_state() {
        let folder = tempfile::tempdir().unwrap();
        let monitor = DiskMonitor::new(folder.path().join("gone"), ByteSize(u64::MAX));
        assert_eq!(monitor.check(), DiskSpace::Enough);
    }

    #[test]
    fn a_full_disk_is_low_until_space_is_free_again() {
        let Some(disk) = SmallDisk::mount("8m") else { return };
        let folder = disk.path();
        let monitor = DiskMonitor::new(folder.to_owned(), ByteSize(4 << 20));
        assert_eq!(monitor.check(), DiskSpace::Enough);
        let filler = folder.join("filler");
        fs::write(&filler, vec![1; 5 << 20]).unwrap();
        assert_eq!(monitor.check(), DiskSpace::Low { free: ByteSize(3 << 20), least: ByteSize(4 << 20) });
        fs::write(&filler, vec![1; (7 << 20) / 2]).unwrap();
        assert_eq!(monitor.check(), DiskSpace::Scarce);
        fs::remove_file(&filler).unwrap();
        assert_eq!(monitor.check(), DiskSpace::Enough);
    }
}
