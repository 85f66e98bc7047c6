//! The bytes of one document, wherever it is: a file or a member of an archive, gzipped or not.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};

/// What every gzip file begins with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of its own.
    File(PathBuf),
    /// A member of an archive.
    Member(Member),
}

/// A member of a zip archive, as the archive's directory says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The archive.
    pub archive: PathBuf,
    /// Where its bytes begin there.
    pub start: u64,
    /// How many bytes it takes there.
    pub stored: u64,
    /// Whether they are compressed.
    pub deflated: bool,
    /// CRC-32 of what it is without compression.
    pub crc: u32,
}

/// A document's bytes.
pub type Bytes = Box<dyn Read + Send>;

impl Place {
    /// Opens the document. `stored` counts the bytes that are read from the disk.
    pub fn open(&self, stored: Arc<AtomicU64>) -> io::Result<Bytes> {
        match self {
            Self::File(path) => plain(Box::new(Counted { inner: File::open(path)?, count: stored })),
            Self::Member(member) => {
                let mut file = File::open(&member.archive)?;
                file.seek(SeekFrom::Start(member.start))?;
                let inner = Counted { inner: file.take(member.stored), count: stored };
                let inner: Bytes =
                    if member.deflated { Box::new(DeflateDecoder::new(inner)) } else { Box::new(inner) };
                plain(Box::new(Checked { inner, crc: Crc::new(), expected: member.crc }))
            }
        }
    }
}

/// Unpacks what is gzipped, whatever its name.
fn plain(mut inner: Bytes) -> io::Result<Bytes> {
    let mut first = Vec::with_capacity(GZIP.len());
    inner.by_ref().take(GZIP.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first == GZIP;
    let whole = Cursor::new(first).chain(inner);
    Ok(if is_gzip { Box::new(CutIsEnd(MultiGzDecoder::new(whole))) } else { Box::new(whole) })
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// A gzip file that was cut is a document that was cut, and judged as one.
struct CutIsEnd<R>(R);

impl<R: Read> Read for CutIsEnd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

/// Compares the checksum at the end.
struct Checked<R> {
    inner: R,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        if read == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the archive's checksum of it does not match",
            ));
        }
        Ok(read)
    }
}
