//! The workers' disk: a mounted one where possible, so that it can be filled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// Needs no memory until it is used.
const SIZE: &str = "8g";
/// A page: too little for another message.
const ROOM: u64 = 4096;

/// The disk for the workers' files; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// Creates this directory and mounts the disk there. Without permission to mount it is part of the machine's disk.
    pub(crate) fn prepare(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir(path).with_context(|| path.display().to_string())?;
        let is_mounted = run("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE}"), "dce-chaos"], path);
        Ok(Self { path: path.to_owned(), is_mounted })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be filled.
    pub(crate) const fn can_be_full(&self) -> bool {
        self.is_mounted
    }

    /// Lowers the size limit to the space in use now. False if more was used meanwhile.
    pub(crate) fn fill(&self) -> anyhow::Result<bool> {
        let stat = nix::sys::statvfs::statvfs(&self.path)?;
        let used = (stat.blocks() - stat.blocks_free()) * stat.fragment_size();
        Ok(self.resize(&(used + ROOM).to_string()))
    }

    pub(crate) fn empty(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.resize(SIZE), "{} cannot be resized", self.path.display());
        Ok(())
    }

    fn resize(&self, size: &str) -> bool {
        run("mount", &["-o", &format!("remount,size={size}")], &self.path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            run("umount", &["--lazy"], &self.path);
        }
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
