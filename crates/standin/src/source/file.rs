//! A DCE export as a channel, read once and in constant memory.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::Messages;
use super::document::{MESSAGE_START, MESSAGES_LINE, id_of, rfind};
use crate::header::{DATE_RANGE_LINE, Header};
use crate::snowflake::Snowflake;

/// No head of a document is larger.
const LARGEST_HEAD: u64 = 1024 * 1024;
const READ_SIZE: usize = 256 * 1024;
/// What follows an empty array of messages.
const END_OF_EMPTY: &[u8] = b"  \"messageCount\": 0\n}";

pub enum Opened {
    /// In DCE's layout: read message by message.
    Messages(Box<FileMessages>),
    /// Any other layout: copied.
    Other(File),
}

/// The messages of a file.
pub struct FileMessages {
    header: Header,
    ends: Option<(Snowflake, Snowflake)>,
    reader: BufReader<File>,
    /// Where the first message begins.
    begin: u64,
    is_over: bool,
}

/// Opens an export. Only its head and its end are checked; the part between must be in the same layout.
pub fn open(path: &Path) -> io::Result<Opened> {
    let mut reader = BufReader::with_capacity(READ_SIZE, File::open(path)?);
    let read = match read_head(&mut reader)? {
        Some((header, true)) => {
            let mut rest = Vec::new();
            reader.by_ref().take(READ_SIZE as u64).read_to_end(&mut rest)?;
            (rest.trim_ascii_end() == END_OF_EMPTY).then_some((header, None, 0))
        }
        Some((header, false)) => {
            let begin = reader.stream_position()?;
            let first = first_id(&mut reader)?;
            let last = last_id(reader.get_mut(), begin)?;
            reader.seek(SeekFrom::Start(begin))?;
            first.zip(last).map(|ends| (header, Some(ends), begin))
        }
        None => None,
    };
    if let Some((header, ends, begin)) = read {
        return Ok(Opened::Messages(Box::new(FileMessages {
            header,
            ends,
            reader,
            begin,
            is_over: ends.is_none(),
        })));
    }
    let mut file = reader.into_inner();
    file.rewind()?;
    Ok(Opened::Other(file))
}

/// Reads up to the first message; the flag is set if there is none. None: not DCE's layout.
fn read_head(reader: &mut BufReader<File>) -> io::Result<Option<(Header, bool)>> {
    let (mut head, mut header) = (Vec::new(), None);
    loop {
        let start = head.len();
        let left = LARGEST_HEAD.saturating_sub(start as u64);
        if reader.by_ref().take(left).read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
        match &head[start..] {
            DATE_RANGE_LINE => header = Header::from_bytes(head[..start].to_vec()).ok(),
            line => {
                if let Some(rest) = line.strip_prefix(MESSAGES_LINE) {
                    let is_empty = rest == b"],\n";
                    return Ok(header.filter(|_| is_empty || rest == b"\n").map(|header| (header, is_empty)));
                }
            }
        }
    }
}

fn first_id(reader: &mut BufReader<File>) -> io::Result<Option<Snowflake>> {
    let mut lines = Vec::new();
    reader.read_until(b'\n', &mut lines)?;
    reader.read_until(b'\n', &mut lines)?;
    Ok(id_of(&lines))
}

/// The last message's id, found from the end of the file. None: the document is not closed.
fn last_id(file: &mut File, begin: u64) -> io::Result<Option<Snowflake>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut window = READ_SIZE as u64;
    loop {
        let from = length.saturating_sub(window).max(begin);
        file.seek(SeekFrom::Start(from))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        if !is_closed(&end) {
            return Ok(None);
        }
        let line_start = [b"\n", MESSAGE_START].concat();
        if let Some(at) = rfind(&end, &line_start) {
            return Ok(id_of(&end[at + 1..]));
        }
        if from == begin {
            return Ok(id_of(&end));
        }
        window *= 4;
    }
}

/// Whether this ends as DCE ends a document.
fn is_closed(end: &[u8]) -> bool {
    const COUNT: &[u8] = b"\n    }\n  ],\n  \"messageCount\": ";
    let end = end.trim_ascii_end().strip_suffix(b"\n}").unwrap_or_default();
    let digits = end.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && end[..end.len() - digits].ends_with(COUNT)
}

impl FileMessages {
    /// Where the first message begins.
    pub(super) fn begin(&self) -> u64 {
        self.begin
    }
}

impl Messages for FileMessages {
    fn header(&self) -> &Header {
        &self.header
    }

    fn ends(&self) -> Option<(Snowflake, Snowflake)> {
        self.ends
    }

    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Snowflake>> {
        if self.is_over {
            return Ok(None);
        }
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "a message that is not in DCE's layout");
        let start = buffer.len();
        loop {
            let line = buffer.len();
            if self.reader.read_until(b'\n', buffer)? == 0 {
                return Err(broken());
            }
            match &buffer[line..] {
                b"    },\n" => break,
                b"    }\n" => {
                    self.is_over = true;
                    break;
                }
                _ => {}
            }
        }
        let end = buffer.len() - if self.is_over { 1 } else { 2 };
        buffer.truncate(end);
        id_of(&buffer[start..]).map(Some).ok_or_else(broken)
    }
}
