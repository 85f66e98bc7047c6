//! The parts of one source as the reader takes them, with what is counted on the way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::vec;

use tokio_util::sync::CancellationToken;

use super::document_location::{DocumentLocation, DocumentReader};
use super::group_parts::ImportSource;
use super::progress::ImportProgress;
use crate::dce::Followed;
use crate::ingest::reader;

/// Files that are read from beginning to end, none of which grows.
pub(super) struct Documents {
    waiting: vec::IntoIter<DocumentLocation>,
    open: Option<DocumentReader>,
    /// Counted from 1; 0 before the first.
    part: u32,
    progress: Arc<ImportProgress>,
    stop: CancellationToken,
}

impl Documents {
    /// `stop`: nothing is read after it.
    pub(super) fn of(source: &ImportSource, progress: Arc<ImportProgress>, stop: CancellationToken) -> Self {
        let places: Vec<DocumentLocation> =
            source.parts.iter().map(|part| part.file.location.clone()).collect();
        Self { waiting: places.into_iter(), open: None, part: 0, progress, stop }
    }
}

impl reader::Source for Documents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Followed> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(Followed::End);
            }
            let Some(bytes) = &mut self.open else {
                let Some(place) = self.waiting.next() else { return Ok(Followed::End) };
                self.open = Some(place.open(Arc::clone(&self.progress.stored))?);
                self.part += 1;
                continue;
            };
            match bytes.read(buffer) {
                Ok(0) => {
                    self.open = None;
                    return Ok(Followed::EndOfPart { part: self.part });
                }
                Ok(read) => {
                    self.progress.read.fetch_add(read as u64, Ordering::Relaxed);
                    return Ok(Followed::Data(read));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
