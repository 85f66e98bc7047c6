//! Folders of living and dead workers, with real files, locks and killed processes.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dce_worker::work_dir::{WorkDir, attempt_name, sweep};
use ulid::Ulid;
use uuid::Uuid;

/// Time allowed for each condition.
const BOUND: Duration = Duration::from_secs(60);
const RUN: Uuid = Uuid::from_u128(7);
/// Variables with the folder and the id, for the process that [`another_worker`] starts.
const ROOT: &str = "TEST_WORK_DIR";
const ID: &str = "TEST_WORKER_ID";

fn worker_id() -> String {
    format!("host-{}", Ulid::generate())
}

/// Creates the folder of a worker whose process is gone; its attempt has a file.
fn dead_worker(root: &Path) -> String {
    let id = worker_id();
    let work_dir = WorkDir::create(root, &id).unwrap();
    write_part(&work_dir, 1);
    drop(work_dir);
    // A process that another test starts holds the lock too, until it executes its program.
    let lock = File::open(root.join(format!("{id}.lock"))).unwrap();
    until(|| lock.try_lock().is_ok());
    id
}

fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !done() {
        assert!(Instant::now() < deadline, "the condition never became true");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn write_part(work_dir: &WorkDir, attempt: i32) -> PathBuf {
    let part = work_dir.attempt_dir(RUN, attempt).unwrap().join("part.json");
    fs::write(&part, "{").unwrap();
    part
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Sweeps without a failure and returns the names of the removed folders.
fn swept(root: &Path) -> Vec<String> {
    let swept = sweep(root);
    assert!(swept.failed.is_empty(), "{swept:?}");
    swept.removed.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// A worker in another process, killed at the end of the test at the latest.
struct Other(Child);

impl Other {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs [`work_until_killed`] of this program and waits until it works.
fn another_worker(root: &Path) -> (Other, String) {
    let id = worker_id();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "work_until_killed", "--ignored", "--nocapture"])
        .env(ROOT, root)
        .env(ID, &id)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().contains("works")), "it ended early");
    (Other(child), id)
}

#[test]
#[ignore = "the other process of the tests below"]
fn work_until_killed() {
    let (Some(root), Ok(id)) = (std::env::var_os(ROOT), std::env::var(ID)) else { return };
    let work_dir = WorkDir::create(Path::new(&root), &id).unwrap();
    write_part(&work_dir, 1);
    println!("\nworks");
    // Ends only with the test, however that ends.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn a_sweep_removes_a_killed_workers_folder_and_keeps_a_living_ones() {
    let root = tempfile::tempdir().unwrap();
    let (mut first, first_id) = another_worker(root.path());
    let (mut second, second_id) = another_worker(root.path());
    let own = WorkDir::create(root.path(), &worker_id()).unwrap();
    let part = write_part(&own, 1);
    assert!(swept(root.path()).is_empty());

    first.kill();
    assert_eq!(swept(root.path()), [first_id]);
    assert!(root.path().join(&second_id).join(attempt_name(RUN, 1)).join("part.json").exists());
    assert!(part.exists());

    second.kill();
    assert_eq!(swept(root.path()), [second_id]);
    own.remove().unwrap();
    assert!(names(root.path()).is_empty());
}

#[test]
fn folders_are_private_and_new_for_every_attempt() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("a/b");
    let id = worker_id();
    let work_dir = WorkDir::create(&root, &id).unwrap();
    let attempt = work_dir.attempt_dir(RUN, 3).unwrap();
    assert_eq!(attempt, root.join(&id).join("00000000000000000000000000000007-3"));
    for folder in [&root.join(&id), &attempt] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
    assert_eq!(work_dir.attempt_dir(RUN, 3).unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn an_unrecognisable_id_and_an_id_in_use_are_refused() {
    let root = tempfile::tempdir().unwrap();
    for id in ["host", "../host-01KAXJ0Q7S8Z9V5T2M4N6P8R0A", ""] {
        assert_eq!(WorkDir::create(root.path(), id).unwrap_err().kind(), ErrorKind::InvalidInput, "{id}");
    }
    let (_other, id) = another_worker(root.path());
    assert_eq!(WorkDir::create(root.path(), &id).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_sweep_keeps_everything_that_no_worker_made() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let treasure = elsewhere.path().join("treasure");
    fs::write(&treasure, "gold").unwrap();
    let at = |name: &str| root.path().join(name);
    let ulid = "01KAXJ0Q7S8Z9V5T2M4N6P8R0A";
    // Folders and files of the user, with names more or less like a worker's.
    fs::create_dir(at("photos")).unwrap();
    fs::create_dir(at(ulid)).unwrap();
    fs::create_dir_all(at(&format!("backup-{ulid}")).join("photos")).unwrap();
    fs::write(at("apt.lock"), "").unwrap();
    fs::write(at(&format!("notes-{ulid}.lock")), "not empty").unwrap();
    fs::write(at(&format!("notes-{ulid}")), "").unwrap();
    symlink(elsewhere.path(), at(&format!("link-{ulid}"))).unwrap();
    symlink(&treasure, at(&format!("link-{ulid}.lock"))).unwrap();
    fs::create_dir_all(at(&format!("album-{ulid}")).join("photos")).unwrap();
    fs::write(at(&format!("album-{ulid}.lock")), "not empty").unwrap();
    fs::create_dir_all(at(&format!("songs-{ulid}")).join("tapes")).unwrap();
    symlink(&treasure, at(&format!("songs-{ulid}.lock"))).unwrap();
    let folders = ["", "backup-", "album-", "songs-"].map(|prefix| at(&format!("{prefix}{ulid}")));
    let (before, inside) = (names(root.path()), folders.each_ref().map(|folder| names(folder)));

    assert!(swept(root.path()).is_empty());
    assert_eq!(names(root.path()), before);
    assert_eq!(folders.each_ref().map(|folder| names(folder)), inside);
    assert_eq!(fs::read_to_string(&treasure).unwrap(), "gold");
}

#[test]
fn a_sweep_removes_links_and_keeps_their_targets() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let treasure = elsewhere.path().join("treasure");
    fs::write(&treasure, "gold").unwrap();
    let id = dead_worker(root.path());
    let attempt = root.path().join(&id).join(attempt_name(RUN, 1));
    symlink(elsewhere.path(), attempt.join("out")).unwrap();
    symlink(elsewhere.path(), root.path().join(&id).join("out")).unwrap();

    assert_eq!(swept(root.path()), [id]);
    assert!(names(root.path()).is_empty());
    assert_eq!(fs::read_to_string(&treasure).unwrap(), "gold");
}

#[test]
fn a_folder_without_a_lock_and_a_lock_without_a_folder_are_swept() {
    let root = tempfile::tempdir().unwrap();
    let (without_lock, without_folder) = (dead_worker(root.path()), dead_worker(root.path()));
    fs::remove_file(root.path().join(format!("{without_lock}.lock"))).unwrap();
    fs::remove_dir_all(root.path().join(without_folder)).unwrap();

    assert_eq!(swept(root.path()), [without_lock]);
    assert!(names(root.path()).is_empty());
    assert!(swept(&root.path().join("not made yet")).is_empty());
}

#[test]
fn a_worker_restores_its_deleted_lock() {
    let root = tempfile::tempdir().unwrap();
    let id = worker_id();
    let work_dir = WorkDir::create(root.path(), &id).unwrap();
    fs::remove_dir_all(root.path()).unwrap();
    let part = write_part(&work_dir, 1);
    assert!(swept(root.path()).is_empty());

    fs::remove_file(root.path().join(format!("{id}.lock"))).unwrap();
    assert!(work_dir.sweep_own(|_| true).failed.is_empty());
    assert!(swept(root.path()).is_empty());
    assert!(part.exists());
}

#[test]
fn a_worker_sweeps_its_own_attempts_without_a_lease() {
    let root = tempfile::tempdir().unwrap();
    let id = worker_id();
    let work_dir = WorkDir::create(root.path(), &id).unwrap();
    let (held, left) = (write_part(&work_dir, 1), write_part(&work_dir, 2));

    let swept = work_dir.sweep_own(|name| name == attempt_name(RUN, 1));
    assert!(swept.failed.is_empty(), "{swept:?}");
    assert_eq!(swept.removed, [left.parent().unwrap()]);
    assert!(held.exists());
    assert_eq!(names(&root.path().join(id)), [attempt_name(RUN, 1)]);
}

#[test]
fn no_folder_is_created_after_the_orderly_end() {
    let root = tempfile::tempdir().unwrap();
    let work_dir = WorkDir::create(root.path(), &worker_id()).unwrap();
    write_part(&work_dir, 1);
    work_dir.remove().unwrap();

    assert_eq!(work_dir.attempt_dir(RUN, 2).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(work_dir.sweep_own(|_| false).failed.is_empty());
    work_dir.remove().unwrap();
    assert!(names(root.path()).is_empty());
}

#[test]
fn concurrent_sweeps_and_starts_keep_living_workers_folders() {
    const STARTERS: usize = 4;
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let working = AtomicUsize::new(STARTERS);
    std::thread::scope(|scope| {
        for _ in 0..STARTERS {
            scope.spawn(|| {
                let _ended = Ended(&working);
                for round in 0..100 {
                    let work_dir = WorkDir::create(root, &worker_id()).unwrap();
                    let part = write_part(&work_dir, 1);
                    std::thread::yield_now();
                    assert!(part.exists(), "a living worker was swept");
                    if round % 2 == 0 {
                        work_dir.remove().unwrap();
                    }
                }
            });
        }
        for _ in 0..3 {
            scope.spawn(|| {
                while working.load(Ordering::Relaxed) > 0 {
                    swept(root);
                }
            });
        }
    });
    until(|| {
        swept(root);
        names(root).is_empty()
    });
}

/// Counts down even when its thread panics, so that the others end.
struct Ended<'a>(&'a AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
