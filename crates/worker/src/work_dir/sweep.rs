//! Removes the folders that dead workers left.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::{is_lock, lock_path, try_acquire};
use super::names::{entry_names, is_attempt_name, is_worker_id};
use super::not_found::ignore_not_found;

/// The result of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    pub removed: Vec<PathBuf>,
    /// Paths that could not be read or removed; the next sweep tries again.
    pub failed: Vec<(PathBuf, io::Error)>,
}

impl Swept {
    pub(super) fn record(&mut self, path: PathBuf, removed: io::Result<bool>) {
        match removed {
            Ok(true) => self.removed.push(path),
            Ok(false) => {}
            Err(error) => self.failed.push((path, error)),
        }
    }
}

/// Removes the folders of dead workers in `root`, with their locks; never a living worker's, nor anything that no
/// worker made. Links are not followed. Any number of sweeps may run at once.
pub fn sweep(root: &Path) -> Swept {
    let mut swept = Swept::default();
    match ignore_not_found(worker_ids(root)) {
        Ok(ids) => {
            for id in ids.into_iter().flatten() {
                swept.record(root.join(&id), sweep_worker(root, &id));
            }
        }
        Err(error) => swept.failed.push((root.to_owned(), error)),
    }
    swept
}

/// The ids of the workers, dead or alive, that have a folder or a lock here.
fn worker_ids(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // This does not follow links; the entry may be gone by now.
        let Ok(metadata) = entry.metadata() else { continue };
        let id = match name.strip_suffix(".lock") {
            Some(id) if is_lock(&metadata) => id,
            None if metadata.is_dir() => name,
            _ => continue,
        };
        if is_worker_id(id) {
            ids.insert(id.to_owned());
        }
    }
    Ok(ids)
}

/// Returns `true` if the folder existed and was removed.
fn sweep_worker(root: &Path, id: &str) -> io::Result<bool> {
    let (folder, lock_path) = (root.join(id), lock_path(root, id));
    let is_worker_folder = match ignore_not_found(fs::symlink_metadata(&lock_path))? {
        Some(metadata) => is_lock(&metadata),
        // Without a lock the name is the only sign of a worker, so the contents must fit too.
        None => holds_only_attempts(&folder)?,
    };
    if !is_worker_folder {
        return Ok(false);
    }
    let Some(_lock) = try_acquire(&lock_path)? else { return Ok(false) };
    let removed = remove_folder(&folder)?;
    ignore_not_found(fs::remove_file(&lock_path))?;
    Ok(removed)
}

/// Returns `false` if there is no such folder or it is a link.
pub(super) fn remove_folder(folder: &Path) -> io::Result<bool> {
    match ignore_not_found(fs::symlink_metadata(folder))? {
        Some(metadata) if metadata.is_dir() => Ok(ignore_not_found(fs::remove_dir_all(folder))?.is_some()),
        _ => Ok(false),
    }
}

fn holds_only_attempts(folder: &Path) -> io::Result<bool> {
    Ok(ignore_not_found(entry_names(folder))?
        .is_some_and(|names| names.iter().all(|name| is_attempt_name(name))))
}
