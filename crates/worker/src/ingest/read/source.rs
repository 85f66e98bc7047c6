//! The documents that the ingest reads.

use std::io;

/// Bytes of documents, one part after the other.
pub trait Source {
    /// Reads on into `buffer`, which is not empty.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk>;
}

/// Result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// Number of bytes of the current part in the buffer.
    Data(usize),
    /// The part is closed and read to its end.
    EndOfPart {
        /// From 1.
        part: u32,
    },
    /// Nothing new yet.
    Idle,
    /// Nobody writes any more and everything is read.
    End,
}

/// Who wrote the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A DCE of this worker. Any fault ends the reading, and a document is whole only with the count that DCE always writes.
    OwnDce,
    /// Somebody else: files of an import. Each is read as far as possible and may lack the count.
    Unknown,
}
