//! Where a document is (a file or a member of a zip archive), and how to open it, gzipped or not.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};

/// The first bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DocumentLocation {
    File(PathBuf),
    ZipMember(ZipMember),
}

/// A member of a zip archive, as its directory describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZipMember {
    pub(super) archive: PathBuf,
    /// The offset of its bytes in the archive.
    pub(super) start: u64,
    /// Its size in the archive.
    pub(super) stored_bytes: u64,
    /// Whether it is compressed.
    pub(super) deflated: bool,
    /// CRC-32 of the decompressed bytes.
    pub(super) crc: u32,
}

pub(super) type DocumentReader = Box<dyn Read + Send>;

impl DocumentLocation {
    /// Opens the document. `stored` counts the bytes read from the disk.
    pub(super) fn open(&self, stored: Arc<AtomicU64>) -> io::Result<DocumentReader> {
        match self {
            Self::File(path) => {
                decompress(Box::new(CountingReader { inner: File::open(path)?, count: stored }))
            }
            Self::ZipMember(member) => {
                let mut file = File::open(&member.archive)?;
                file.seek(SeekFrom::Start(member.start))?;
                let inner = CountingReader { inner: file.take(member.stored_bytes), count: stored };
                let inner: DocumentReader =
                    if member.deflated { Box::new(DeflateDecoder::new(inner)) } else { Box::new(inner) };
                decompress(Box::new(ChecksumReader { inner, crc: Crc::new(), expected: member.crc }))
            }
        }
    }
}

/// Decompresses gzip, whatever the name of the file.
fn decompress(mut inner: DocumentReader) -> io::Result<DocumentReader> {
    let mut first = Vec::with_capacity(GZIP_MAGIC.len());
    inner.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first == GZIP_MAGIC;
    let whole = Cursor::new(first).chain(inner);
    Ok(if is_gzip { Box::new(TruncationIsEnd(MultiGzDecoder::new(whole))) } else { Box::new(whole) })
}

/// Counts the bytes read.
struct CountingReader<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Treats the end of a truncated gzip file as the end of a truncated document.
struct TruncationIsEnd<R>(R);

impl<R: Read> Read for TruncationIsEnd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

/// Verifies the checksum at the end.
struct ChecksumReader<R> {
    inner: R,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for ChecksumReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the checksum in the archive does not match",
            ));
        }
        Ok(read)
    }
}
