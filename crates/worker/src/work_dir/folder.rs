//! The folder of this worker and the folders of its attempts.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::lock::{acquire, is_at, lock_path};
use super::names::{attempt_name, entry_names, is_attempt_name, is_worker_id};
use super::not_found::ignore_not_found;
use super::sweep::{Swept, remove_folder};

/// The folder of one living worker. If it is dropped without [`WorkDir::remove`], the next sweep removes it.
#[derive(Debug)]
pub struct WorkDir {
    folder: PathBuf,
    lock_path: PathBuf,
    /// `None` once the folder was removed.
    lock: Mutex<Option<File>>,
}

impl WorkDir {
    /// Creates the folder of this worker in `root`, private to this user, and `root` itself if necessary. The id must
    /// end with `-` and a ULID, by which sweeps recognise it (else `InvalidInput`); no other process may use it (else
    /// `WouldBlock`).
    pub fn create(root: &Path, worker_id: &str) -> io::Result<Self> {
        if !is_worker_id(worker_id) {
            let rule = "the worker's id must be a file name that ends with - and a ULID";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, rule));
        }
        create_private(root)?;
        let lock_path = lock_path(root, worker_id);
        // Locked before the folder is created: a folder whose lock is free belongs to a dead worker.
        let lock = Mutex::new(Some(acquire(&lock_path)?));
        let folder = root.join(worker_id);
        create_private(&folder)?;
        Ok(Self { folder, lock_path, lock })
    }

    /// Creates the folder of an attempt, private to this user. An existing folder is an error: the files of an earlier
    /// attempt must not count as this attempt's output.
    pub fn attempt_dir(&self, run_id: Uuid, attempt: i32) -> io::Result<PathBuf> {
        self.restore()?;
        let directory = self.folder.join(attempt_name(run_id, attempt));
        DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(directory)
    }

    /// Removes the folders of this worker's attempts whose leases are not held any more, because their task panicked or
    /// their removal failed. `held` receives the folder's name ([`attempt_name`]) and must return true from before the
    /// folder is created until after it is removed.
    pub fn sweep_own(&self, held: impl Fn(&str) -> bool) -> Swept {
        let mut swept = Swept::default();
        // Listed before `held` is called: an attempt that begins meanwhile is not in the list.
        match ignore_not_found(self.restore().and_then(|()| entry_names(&self.folder))) {
            Ok(names) => {
                let names = names.into_iter().flatten();
                for name in names.filter(|name| is_attempt_name(name) && !held(name)) {
                    let directory = self.folder.join(name);
                    let removed = remove_folder(&directory);
                    swept.record(directory, removed);
                }
            }
            Err(error) => swept.failed.push((self.folder.clone(), error)),
        }
        swept
    }

    /// Removes the folder with its contents, and the lock, at the orderly end. No folder can be created afterwards.
    pub fn remove(&self) -> io::Result<()> {
        let mut lock = self.lock();
        if lock.is_some() {
            remove_folder(&self.folder)?;
            ignore_not_found(fs::remove_file(&self.lock_path))?;
            *lock = None;
        }
        Ok(())
    }

    /// Locks and creates the folder again if somebody deleted it or the lock: otherwise the next sweep of another
    /// worker would remove this worker's files. `NotFound` after the end.
    fn restore(&self) -> io::Result<()> {
        let mut lock = self.lock();
        let Some(lock) = lock.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        if !is_at(lock, &self.lock_path)? {
            create_private(self.lock_path.parent().unwrap_or(&self.lock_path))?;
            *lock = acquire(&self.lock_path)?;
        }
        create_private(&self.folder)
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn create_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
