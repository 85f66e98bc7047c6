//! Folders under `WORK_DIR`: one for each worker, in it one for each attempt; and what dead workers left there.
//!
//! Workers of one machine may share `WORK_DIR`, and other things may lie in it. A worker holds a lock on
//! `{worker id}.lock` as long as it lives: the kernel frees it however the worker dies, and whoever gets it owns the
//! folder `{worker id}`. Only the holder of the lock deletes the folder, then the file. All calls block on the disk.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::OFlag;
use ulid::Ulid;
use uuid::Uuid;

/// A sweeper may hold a new worker's lock, for a moment, before it sees that there is nothing to sweep.
const LOCK_TRIES: u32 = 200;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The folder of one living worker. Dropped without [`WorkDir::remove`] it is left to the next sweep.
#[derive(Debug)]
pub struct WorkDir {
    folder: PathBuf,
    lock_path: PathBuf,
    /// `None` once the folder was removed.
    lock: Mutex<Option<File>>,
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// Folders that are gone now.
    pub removed: Vec<PathBuf>,
    /// What could not be removed or looked at; the next sweep tries again.
    pub failed: Vec<(PathBuf, io::Error)>,
}

impl WorkDir {
    /// Makes the folder of this worker in `root`, readable by nobody else, and `root` itself if need be. The id must
    /// end with `-` and a ULID, by which sweeps know what is theirs (`InvalidInput`), and be in use by no other
    /// process (`WouldBlock`).
    pub fn create(root: &Path, worker_id: &str) -> io::Result<Self> {
        if !is_worker_id(worker_id) {
            let rule = "a worker's id must be a file name that ends with - and a ULID";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, rule));
        }
        create_private(root)?;
        let lock_path = lock_path(root, worker_id);
        // Before the folder is made: a folder whose lock is free is a dead worker's.
        let lock = Mutex::new(Some(acquire(&lock_path)?));
        let folder = root.join(worker_id);
        create_private(&folder)?;
        Ok(Self { folder, lock_path, lock })
    }

    /// Makes the folder of an attempt, readable by nobody else. One that is there already is an error: what an earlier
    /// attempt left must not be taken for this one's output.
    pub fn attempt_dir(&self, run_id: Uuid, attempt: i32) -> io::Result<PathBuf> {
        self.secure()?;
        let directory = self.folder.join(attempt_name(run_id, attempt));
        DirBuilder::new().mode(0o700).create(&directory)?;
        Ok(directory)
    }

    /// Removes the folders of this worker's attempts that are not held any more: of those whose task panicked or whose
    /// removal failed. `held` is asked with the folder's name ([`attempt_name`]) and must be true from before the
    /// folder is made until after it is removed.
    pub fn sweep_own(&self, held: impl Fn(&str) -> bool) -> Swept {
        let mut swept = Swept::default();
        // Listed first, asked then: an attempt that begins meanwhile is not in the list.
        match if_there(self.secure().and_then(|()| names(&self.folder))) {
            Ok(names) => {
                let names = names.into_iter().flatten();
                for name in names.filter(|name| is_attempt_name(name) && !held(name)) {
                    let directory = self.folder.join(name);
                    let removed = remove_folder(&directory);
                    swept.note(directory, removed);
                }
            }
            Err(error) => swept.failed.push((self.folder.clone(), error)),
        }
        swept
    }

    /// At the orderly end: removes the folder with all that is in it, and the lock. Nothing is made there any more.
    pub fn remove(&self) -> io::Result<()> {
        let mut lock = self.lock();
        if lock.is_some() {
            remove_folder(&self.folder)?;
            if_there(fs::remove_file(&self.lock_path))?;
            *lock = None;
        }
        Ok(())
    }

    /// Takes the lock and makes the folder again if somebody deleted them: without them the next sweep of another
    /// worker would take what this one writes. `NotFound` after the end.
    fn secure(&self) -> io::Result<()> {
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

impl Swept {
    fn note(&mut self, path: PathBuf, removed: io::Result<bool>) {
        match removed {
            Ok(true) => self.removed.push(path),
            Ok(false) => {}
            Err(error) => self.failed.push((path, error)),
        }
    }
}

/// Removes the folders of dead workers in `root`, with their locks. Never a living worker's, nor anything that no worker
/// made; links are not followed. Any number of sweeps may go on at once.
pub fn sweep(root: &Path) -> Swept {
    let mut swept = Swept::default();
    match if_there(worker_ids(root)) {
        Ok(ids) => {
            for id in ids.into_iter().flatten() {
                swept.note(root.join(&id), sweep_worker(root, &id));
            }
        }
        Err(error) => swept.failed.push((root.to_owned(), error)),
    }
    swept
}

/// The name of an attempt's folder.
pub fn attempt_name(run_id: Uuid, attempt: i32) -> String {
    format!("{}-{attempt}", run_id.simple())
}

/// Whose folders or locks lie here, dead or alive.
fn worker_ids(root: &Path) -> io::Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // Neither follows a link, and it may be gone by now.
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

/// `true`: the folder was there and is gone.
fn sweep_worker(root: &Path, id: &str) -> io::Result<bool> {
    let (folder, lock_path) = (root.join(id), lock_path(root, id));
    let ours = match if_there(fs::symlink_metadata(&lock_path))? {
        Some(metadata) => is_lock(&metadata),
        // Without a lock only the name says so; the contents must, too.
        None => holds_only_attempts(&folder)?,
    };
    if !ours {
        return Ok(false);
    }
    let Some(_lock) = try_acquire(&lock_path)? else { return Ok(false) };
    let removed = remove_folder(&folder)?;
    if_there(fs::remove_file(&lock_path))?;
    Ok(removed)
}

/// `false`: there is no such folder, or it is a link.
fn remove_folder(folder: &Path) -> io::Result<bool> {
    match if_there(fs::symlink_metadata(folder))? {
        Some(metadata) if metadata.is_dir() => Ok(if_there(fs::remove_dir_all(folder))?.is_some()),
        _ => Ok(false),
    }
}

/// Ours hold nothing.
fn is_lock(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.len() == 0
}

fn holds_only_attempts(folder: &Path) -> io::Result<bool> {
    Ok(if_there(names(folder))?.is_some_and(|names| names.iter().all(|name| is_attempt_name(name))))
}

/// A name that is no UTF-8 is given as something that is nobody's.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn lock_path(root: &Path, worker_id: &str) -> PathBuf {
    root.join(format!("{worker_id}.lock"))
}

fn acquire(path: &Path) -> io::Result<File> {
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = try_acquire(path)? {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another process works under this worker's id"))
}

/// `None`: somebody else has it.
fn try_acquire(path: &Path) -> io::Result<Option<File>> {
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
        // Its holder may have deleted the file between the two steps; the lock of a deleted file keeps nobody away.
        if is_at(&lock, path)? {
            return Ok(Some(lock));
        }
    }
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    let there = if_there(fs::symlink_metadata(path))?;
    Ok(there.is_some_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// What others delete meanwhile is no error.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn create_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// `{host}-{ULID}`, where the host may be empty.
fn is_worker_id(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(host, id)| {
        // The parser also takes other spellings of a ULID than the one it is written in.
        !host.contains('/') && Ulid::from_string(id).is_ok_and(|ulid| ulid.to_string() == id)
    })
}

/// See [`attempt_name`].
fn is_attempt_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(run_id, attempt)| {
        run_id.len() == 32
            && run_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && !attempt.is_empty()
            && attempt.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_workers_give_are_theirs() {
        for id in ["web-1-01KAXJ0Q7S8Z9V5T2M4N6P8R0A", "-01KAXJ0Q7S8Z9V5T2M4N6P8R0A"] {
            assert!(is_worker_id(id), "{id}");
        }
        for other in [
            "01KAXJ0Q7S8Z9V5T2M4N6P8R0A",
            "web-01kaxj0q7s8z9v5t2m4n6p8r0a",
            "web-01KAXJ0Q7S8Z9V5T2M4N6P8R0",
            "web-01KAXJ0Q7S8Z9V5T2M4N6P8R0A.bak",
            "../web-01KAXJ0Q7S8Z9V5T2M4N6P8R0A",
            "backup-2026",
            "",
        ] {
            assert!(!is_worker_id(other), "{other}");
        }
        assert!(is_attempt_name(&attempt_name(Uuid::from_u128(7), 12)));
        for other in
            ["part.json", "00000000000000000000000000000007", "00000000000000000000000000000007-x", "7-1"]
        {
            assert!(!is_attempt_name(other), "{other}");
        }
    }
}
