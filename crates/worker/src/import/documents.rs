//! The parts of one source as a source of the ingest, with counters of the bytes read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::vec;

use tokio_util::sync::CancellationToken;

use super::document_location::{DocumentLocation, DocumentReader};
use super::group_parts::ImportSource;
use super::progress::ImportProgress;
use crate::ingest::read::source::{self, Chunk};

/// Complete files, read from beginning to end.
pub(super) struct Documents {
    waiting: vec::IntoIter<DocumentLocation>,
    open: Option<DocumentReader>,
    /// From 1; 0 before the first.
    part: u32,
    progress: Arc<ImportProgress>,
    stop: CancellationToken,
}

impl Documents {
    /// Reading ends when `stop` is cancelled.
    pub(super) fn new(source: &ImportSource, progress: Arc<ImportProgress>, stop: CancellationToken) -> Self {
        let locations: Vec<DocumentLocation> =
            source.parts.iter().map(|part| part.file.location.clone()).collect();
        Self { waiting: locations.into_iter(), open: None, part: 0, progress, stop }
    }
}

impl source::Source for Documents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(Chunk::End);
            }
            let Some(bytes) = &mut self.open else {
                let Some(location) = self.waiting.next() else { return Ok(Chunk::End) };
                self.open = Some(location.open(Arc::clone(&self.progress.stored))?);
                self.part += 1;
                continue;
            };
            match bytes.read(buffer) {
                Ok(0) => {
                    self.open = None;
                    return Ok(Chunk::EndOfPart { part: self.part });
                }
                Ok(read) => {
                    self.progress.read.fetch_add(read as u64, Ordering::Relaxed);
                    return Ok(Chunk::Data(read));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
