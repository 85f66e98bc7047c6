//! Follows the files DCE writes while it writes them.
//!
//! DCE closes part *k* before it creates part *k* + 1, and flushes after every message (DCE 2.47:
//! docs/dce.md). So a part is complete when the next one exists or the process has ended, and what has
//! been written can be read at once. No call here waits for the process; all of them block on the
//! disk and belong on a thread that may block.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the names of all parts begin with; DCE adds the numbers.
const STEM: &str = "part";

/// The files of one export: `part.json`, `part [part 2].json`, `part [part 3].json`…
#[derive(Debug, Clone)]
pub struct Parts {
    directory: PathBuf,
}

impl Parts {
    /// The parts in this directory.
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The file of part `part`, counted from 1. The first is the one DCE is told to write.
    pub fn path(&self, part: u32) -> PathBuf {
        self.directory.join(match part {
            0 | 1 => format!("{STEM}.json"),
            _ => format!("{STEM} [part {part}].json"),
        })
    }

    /// Deletes a part whose messages are committed. One that is not there is no error: a deletion
    /// may be repeated.
    pub fn delete(&self, part: u32) -> io::Result<()> {
        match fs::remove_file(self.path(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Bytes that the parts take on the disk now.
    pub fn bytes_on_disk(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if is_part(&entry.path()) {
                // It may be deleted between the listing and the look.
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok(bytes)
    }
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(rest) = name.strip_prefix(STEM).and_then(|rest| rest.strip_suffix(".json")) else {
        return false;
    };
    let number = rest.strip_prefix(" [part ").and_then(|rest| rest.strip_suffix(']'));
    rest.is_empty() || number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// Tells a [`Follower`] that nobody writes any more.
#[derive(Debug, Clone, Default)]
pub struct ExitFlag(Arc<AtomicBool>);

impl ExitFlag {
    /// To be called after [`super::process::DceProcess::wait`] or `stop` has returned, never before:
    /// everything written until then is read, nothing later.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Sets the flag when the guard is dropped: whoever follows is not left waiting, whatever happens to the caller.
    pub fn set_on_drop(&self) -> impl Drop + use<> {
        struct SetOnDrop(ExitFlag);
        impl Drop for SetOnDrop {
            fn drop(&mut self) {
                self.0.set();
            }
        }
        SetOnDrop(self.clone())
    }

    /// Whether the process has ended.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What one look at the output brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// So many bytes of the current part are in the buffer.
    Data(usize),
    /// This part is closed and read to its end.
    EndOfPart {
        /// Counted from 1.
        part: u32,
    },
    /// Nothing new yet.
    Idle,
    /// The process has ended and everything has been read.
    End,
}

/// Reads the parts one after the other, as far as they are written.
#[derive(Debug)]
pub struct Follower {
    parts: Parts,
    exited: ExitFlag,
    part: u32,
    file: Option<File>,
    /// Nobody writes to the current part any more.
    closed: bool,
    /// The part to open next has been seen.
    next_exists: bool,
    bytes_read: u64,
}

impl Follower {
    /// Follows these parts from the first one on.
    pub const fn new(parts: Parts, exited: ExitFlag) -> Self {
        Self { parts, exited, part: 1, file: None, closed: false, next_exists: false, bytes_read: 0 }
    }

    /// Bytes read so far, over all parts.
    pub const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Reads on. `buffer` must not be empty.
    ///
    /// No byte is missed because "nobody writes any more" is looked up *before* the read that finds
    /// the end: an end of file found first could have grown since.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Followed> {
        if buffer.is_empty() {
            // Its zero bytes would look like the end of the part.
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let Some(file) = &mut self.file else { return self.open(buffer) };
        loop {
            match file.read(buffer) {
                Ok(0) if self.closed => {
                    let part = self.part;
                    self.part += 1;
                    self.file = None;
                    self.closed = false;
                    return Ok(Followed::EndOfPart { part });
                }
                Ok(0) => {
                    let exited = self.exited.is_set();
                    self.next_exists = self.parts.path(self.part + 1).try_exists()?;
                    self.closed = exited || self.next_exists;
                    if !self.closed {
                        return Ok(Followed::Idle);
                    }
                }
                Ok(read) => {
                    self.bytes_read += read as u64;
                    return Ok(Followed::Data(read));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn open(&mut self, buffer: &mut [u8]) -> io::Result<Followed> {
        let exited = self.exited.is_set();
        match File::open(self.parts.path(self.part)) {
            Ok(file) => {
                self.file = Some(file);
                self.next_exists = false;
                self.read(buffer)
            }
            // Only a folder that is as DCE left it tells that there is no more: one that somebody deletes is no end.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.next_exists => {
                if exited && !self.parts.directory.try_exists()? {
                    return Err(error);
                }
                Ok(if exited { Followed::End } else { Followed::Idle })
            }
            Err(error) => Err(error),
        }
    }
}

/// How long to wait between two looks: short after data, doubling to a limit while nothing comes.
#[derive(Debug, Clone)]
pub struct IdleWait {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl IdleWait {
    /// Between these two.
    pub const fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest }
    }

    /// Blocks the thread for the next wait.
    pub fn wait(&mut self) {
        std::thread::sleep(self.advance());
    }

    /// Data came: the next wait is the shortest again.
    pub const fn reset(&mut self) {
        self.next = self.shortest;
    }

    fn advance(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.longest);
        wait
    }
}

/// 2 ms to 20 ms: a message is seen soon after it is written, and an idle channel costs 50 looks a
/// second.
impl Default for IdleWait {
    fn default() -> Self {
        Self::new(Duration::from_millis(2), Duration::from_millis(20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_start_again_with_data() {
        let mut wait = IdleWait::default();
        let ms: Vec<_> = (0..6).map(|_| wait.advance().as_millis()).collect();
        assert_eq!(ms, [2, 4, 8, 16, 20, 20]);
        wait.reset();
        assert_eq!(wait.advance(), Duration::from_millis(2));
    }

    #[test]
    fn parts_are_named_as_dce_names_them() {
        let parts = Parts::new("/var/dce/7".into());
        assert_eq!(parts.path(1), Path::new("/var/dce/7/part.json"));
        assert_eq!(parts.path(2), Path::new("/var/dce/7/part [part 2].json"));
        assert!(is_part(&parts.path(1)) && is_part(&parts.path(12)));
        for other in ["part.txt", "part [part x].json", "partner.json", ".dotnet", "part [part 2].json.tmp"] {
            assert!(!is_part(Path::new(other)), "{other}");
        }
    }
}
