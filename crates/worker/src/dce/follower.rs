//! Follows the files that DCE writes while it writes them.
//!
//! DCE closes part *k* before it creates part *k* + 1, and flushes after every message (docs/dce.md). So a part is
//! complete when the next one exists or the process has ended, and everything written can be read at once. No call here waits
//! for the process; all of them block on the disk and belong on a thread that may block.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::parts::Parts;
use crate::ingest::read::source::{Chunk, Source};

/// Signals a [`Follower`] that nobody writes any more.
#[derive(Debug, Clone, Default)]
pub struct ExitFlag(Arc<AtomicBool>);

impl ExitFlag {
    /// Call it after [`super::process::Running::wait`] or `stop` has returned, never before: the follower reads everything
    /// written until then and nothing later.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Sets the flag when the guard is dropped, so that the follower ends even if the caller panics.
    pub fn set_on_drop(&self) -> impl Drop + use<> {
        struct SetOnDrop(ExitFlag);
        impl Drop for SetOnDrop {
            fn drop(&mut self) {
                self.0.set();
            }
        }
        SetOnDrop(self.clone())
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Reads the parts one after the other, as far as they are written.
#[derive(Debug)]
pub struct Follower {
    parts: Parts,
    exited: ExitFlag,
    part: u32,
    file: Option<File>,
    /// Whether the current part is complete.
    closed: bool,
    /// Whether the part to open next exists.
    next_exists: bool,
    bytes_read: u64,
}

impl Follower {
    pub const fn new(parts: Parts, exited: ExitFlag) -> Self {
        Self { parts, exited, part: 1, file: None, closed: false, next_exists: false, bytes_read: 0 }
    }

    /// Bytes read so far from all parts.
    pub const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn open(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        let exited = self.exited.is_set();
        match File::open(self.parts.path(self.part)) {
            Ok(file) => {
                self.file = Some(file);
                self.next_exists = false;
                self.read(buffer)
            }
            // Only a folder that is as DCE left it shows that there are no more parts; a folder that somebody deletes does not.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.next_exists => {
                if exited && !self.parts.directory_exists()? {
                    return Err(error);
                }
                Ok(if exited { Chunk::End } else { Chunk::Idle })
            }
            Err(error) => Err(error),
        }
    }
}

impl Source for Follower {
    // No byte is missed, because the end of writing is checked *before* the read that finds the end of the file: an end of
    // file found first could have grown since.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        if buffer.is_empty() {
            // Zero bytes would look like the end of the part.
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
                    return Ok(Chunk::EndOfPart { part });
                }
                Ok(0) => {
                    let exited = self.exited.is_set();
                    self.next_exists = self.parts.path(self.part + 1).try_exists()?;
                    self.closed = exited || self.next_exists;
                    if !self.closed {
                        return Ok(Chunk::Idle);
                    }
                }
                Ok(read) => {
                    self.bytes_read += read as u64;
                    return Ok(Chunk::Data(read));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
