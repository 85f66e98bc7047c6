//! A small file system, for tests of full disks.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A small file system, which only root can mount. It is unmounted when it is dropped, even if processes still use it.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts a file system of this size (`8m`). Returns `None`, after printing the reason, without the right to mount.
    pub fn mount(size: &str) -> Option<Self> {
        let folder = TempDir::new().ok()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("not run: only root can mount a small file system");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
