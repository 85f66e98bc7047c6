//! Writes DCE's documents: preamble, messages, postamble, one file after the other.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::output_path;
use crate::partition::PartitionLimit;
use dce_standin::header::Header;
use dce_standin::snowflake::{Snowflake, iso};

/// The time for `exportedAt`.
pub(crate) type Clock = fn() -> DateTime<Utc>;

/// At full speed this much is collected before it is written.
const WRITE_SIZE: usize = 256 * 1024;

/// An error of the file system.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct OutputError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// What surrounds the messages of a document.
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) after: Option<Snowflake>,
    pub(crate) before: Option<Snowflake>,
    pub(crate) clock: Clock,
}

/// How messages are spread over files and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) partition: PartitionLimit,
    /// Writes each message at once, as DCE does, instead of collecting [`WRITE_SIZE`].
    pub(crate) write_each: bool,
}

/// Writes the parts of one channel's export. Each part is closed before the next one is created.
pub(crate) struct PartWriter {
    base: PathBuf,
    /// None: bytes are copied as they come.
    frame: Option<Frame>,
    layout: Layout,
    part: Option<OpenPart>,
    parts: u32,
}

struct OpenPart {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    messages: u64,
    /// Written and buffered.
    bytes: u64,
}

impl PartWriter {
    /// Creates no file before the first message or [`finish`](Self::finish).
    pub(crate) fn new(base: PathBuf, frame: Option<Frame>, layout: Layout) -> Self {
        Self { base, frame, layout, part: None, parts: 0 }
    }

    /// Writes each message at once from now on.
    pub(crate) fn write_each(&mut self) {
        self.layout.write_each = true;
    }

    /// The current file, or the first one if none is open yet.
    pub(crate) fn path(&self) -> &Path {
        self.part.as_ref().map_or(&self.base, |part| &part.path)
    }

    /// Writes a whole message (from its `    {` to its `    }`), in a new part if this one is full.
    pub(crate) fn message(&mut self, message: &[u8]) -> Result<(), OutputError> {
        self.begin_message(message)?;
        self.write(b"", self.layout.write_each)
    }

    /// Writes the beginning of a message and no more.
    pub(crate) fn torn_message(&mut self, beginning: &[u8]) -> Result<(), OutputError> {
        self.begin_message(beginning)?;
        self.flush()
    }

    /// Writes the beginning of a message and DCE's postamble, which closes the message as the innermost open object and
    /// nothing else. Its count includes this message.
    pub(crate) fn cut_message(&mut self, beginning: &[u8]) -> Result<(), OutputError> {
        self.begin_message(beginning)?;
        let count = self.part.as_ref().map_or(0, |part| part.messages);
        self.write(format!(",\n      \"messageCount\": {count}\n    }}").as_bytes(), true)
    }

    /// Copies bytes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.open_part()?;
        self.write(bytes, true)
    }

    /// Writes everything buffered to the file.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        if self.part.is_some() { self.write(b"", true) } else { Ok(()) }
    }

    /// Closes the current part, if any.
    pub(crate) fn close_part(&mut self) -> Result<(), OutputError> {
        let Some(part) = &self.part else { return Ok(()) };
        if self.frame.is_some() {
            let end = if part.messages == 0 { "" } else { "\n  " };
            let postamble = format!("{end}],\n  \"messageCount\": {}\n}}", part.messages);
            self.write(postamble.as_bytes(), true)?;
        }
        self.part = None;
        Ok(())
    }

    /// Closes the document; without any message it is an empty one.
    pub(crate) fn finish(&mut self) -> Result<(), OutputError> {
        if self.parts == 0 {
            self.open_part()?;
        }
        self.close_part()
    }

    fn begin_message(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let limit = self.layout.partition;
        if self.part.as_ref().is_some_and(|part| limit.is_reached(part.messages, part.bytes)) {
            self.close_part()?;
        }
        self.open_part()?;
        if let Some(part) = &mut self.part {
            part.push(if part.messages == 0 { b"\n" } else { b",\n" });
            part.push(bytes);
            part.messages += 1;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], now: bool) -> Result<(), OutputError> {
        let Some(part) = &mut self.part else { return Ok(()) };
        part.push(bytes);
        if now || part.buffer.len() >= WRITE_SIZE {
            part.file
                .write_all(&part.buffer)
                .map_err(|source| OutputError { path: part.path.clone(), source })?;
            part.buffer.clear();
        }
        Ok(())
    }

    fn open_part(&mut self) -> Result<(), OutputError> {
        if self.part.is_some() {
            return Ok(());
        }
        let path = output_path::part(&self.base, self.parts + 1);
        let failed = |source| OutputError { path: path.clone(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::create(&path).map_err(failed)?;
        let mut part = OpenPart { path, file, buffer: Vec::new(), messages: 0, bytes: 0 };
        if let Some(frame) = &self.frame {
            part.push(&frame.preamble());
        }
        self.part = Some(part);
        self.parts += 1;
        self.write(b"", self.layout.write_each)
    }
}

impl OpenPart {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl Frame {
    /// Up to and including the `[` of the messages.
    fn preamble(&self) -> Vec<u8> {
        let bound = |bound: Option<Snowflake>| {
            bound.map_or("null".into(), |bound| format!("\"{}\"", iso(bound.date())))
        };
        let own = format!(
            "  \"dateRange\": {{\n    \"after\": {},\n    \"before\": {}\n  }},\n  \"exportedAt\": \"{}\",\n  \"messages\": [",
            bound(self.after),
            bound(self.before),
            iso((self.clock)()),
        );
        [self.header.bytes.as_slice(), own.as_bytes()].concat()
    }
}
