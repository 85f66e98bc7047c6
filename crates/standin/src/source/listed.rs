//! A channel's messages by number, for readers that begin anywhere and go either way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::document::Document;
use super::file::{FileMessages, Opened, open};
use super::{Generated, Messages as _, recorded_documents};
use crate::header::Header;
use crate::scenario::Source;
use crate::snowflake::Snowflake;

/// Length of the comma and the line break after a message.
const SEPARATOR: u64 = 2;

/// The messages of a channel in the order of their ids, numbered from 0.
pub enum ListedMessages {
    Generated(Box<Generated>),
    File(Box<IndexedFile>),
    Recorded(Box<RecordedMessages>),
}

/// A DCE export of which only ids and places are in memory.
pub struct IndexedFile {
    header: Header,
    file: File,
    /// Id, offset and length of each message, by id.
    index: Vec<(Snowflake, u64, usize)>,
}

/// The messages of a recording.
pub struct RecordedMessages {
    header: Header,
    messages: Vec<(Snowflake, Vec<u8>)>,
}

/// Reads the head of a channel's source without its messages. None: it is in another layout.
pub fn read_header(channel: &str, source: &Source, base: &Path) -> io::Result<Option<Header>> {
    match source {
        Source::Generate(asked) => {
            let generated = Generated::new(channel, *asked).map_err(io::Error::from)?;
            Ok(Some(generated.header().clone()))
        }
        Source::File(path) => match open(&base.join(path))? {
            Opened::Messages(messages) => Ok(Some(messages.header().clone())),
            Opened::Other(_) => Ok(None),
        },
        Source::Case(folder) => {
            let recorded = RecordedMessages::read(channel, &base.join(folder))?;
            Ok(recorded.map(|recorded| recorded.header))
        }
    }
}

impl ListedMessages {
    /// Opens a channel's source. `base` is the directory of the scenario. None: it holds no messages in DCE's layout.
    pub fn open(channel: &str, source: &Source, base: &Path) -> io::Result<Option<Self>> {
        match source {
            Source::Generate(asked) => {
                let generated = Generated::new(channel, *asked).map_err(io::Error::from)?;
                Ok(Some(Self::Generated(Box::new(generated))))
            }
            Source::File(path) => {
                let path = base.join(path);
                match open(&path)? {
                    Opened::Messages(messages) => {
                        let file = IndexedFile::new(*messages, File::open(path)?)?;
                        Ok(Some(Self::File(Box::new(file))))
                    }
                    Opened::Other(_) => Ok(None),
                }
            }
            Source::Case(folder) => {
                let recorded = RecordedMessages::read(channel, &base.join(folder))?;
                Ok(recorded.map(|recorded| Self::Recorded(Box::new(recorded))))
            }
        }
    }

    pub fn header(&self) -> &Header {
        match self {
            Self::Generated(generated) => generated.header(),
            Self::File(file) => &file.header,
            Self::Recorded(recorded) => &recorded.header,
        }
    }

    /// How many messages there are.
    pub fn count(&self) -> u64 {
        match self {
            Self::Generated(generated) => generated.count(),
            Self::File(file) => file.index.len() as u64,
            Self::Recorded(recorded) => recorded.messages.len() as u64,
        }
    }

    /// The id of message `number`, which must be below [`count`](Self::count).
    pub fn id(&self, number: u64) -> Snowflake {
        match self {
            Self::Generated(generated) => generated.id(number),
            Self::File(file) => file.index[index(number)].0,
            Self::Recorded(recorded) => recorded.messages[index(number)].0,
        }
    }

    /// Appends message `number`, which must be below [`count`](Self::count), from its `    {` to its `    }`.
    pub fn read(&self, number: u64, to: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Generated(generated) => {
                generated.write(number, to);
                Ok(())
            }
            Self::File(file) => {
                let (_, offset, length) = file.index[index(number)];
                let start = to.len();
                to.resize(start + length, 0);
                file.file.read_exact_at(&mut to[start..], offset)
            }
            Self::Recorded(recorded) => {
                to.extend_from_slice(&recorded.messages[index(number)].1);
                Ok(())
            }
        }
    }

    /// How many messages have a lower id than this; also the number of the first one that has not.
    pub fn count_below(&self, id: Snowflake) -> u64 {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.id(middle) < id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

impl IndexedFile {
    fn new(mut messages: FileMessages, file: File) -> io::Result<Self> {
        let (header, mut offset) = (messages.header().clone(), messages.begin());
        let mut index = Vec::new();
        let mut message = Vec::new();
        while let Some(id) = messages.next(&mut message)? {
            index.push((id, offset, message.len()));
            offset += message.len() as u64 + SEPARATOR;
            message.clear();
        }
        index.sort_unstable();
        index.dedup_by_key(|(id, ..)| *id);
        Ok(Self { header, file, index })
    }
}

impl RecordedMessages {
    fn read(channel: &str, folder: &Path) -> io::Result<Option<Self>> {
        let documents = recorded_documents(&folder.join("out"))?.into_values();
        // A recording of several channels: the one that is asked for, else the only one.
        let mut channels: Vec<Vec<Document>> = documents.filter(|parts| !parts.is_empty()).collect();
        if channels.len() > 1 {
            channels.retain(|parts| parts[0].header.channel.id == channel);
        }
        let Some(parts) = channels.into_iter().next() else { return Ok(None) };
        let header = parts[0].header.clone();
        let mut messages: Vec<_> = parts.into_iter().flat_map(|part| part.messages).collect();
        messages.sort_unstable();
        messages.dedup_by_key(|(id, _)| *id);
        Ok(Some(Self { header, messages }))
    }
}

/// An index into something in memory.
#[expect(clippy::cast_possible_truncation, reason = "callers stay below the length of a list")]
fn index(number: u64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ListedMessages;
    use crate::scenario::{Channel, Source, recording};
    use crate::snowflake::Snowflake;
    use crate::source::{Messages as _, Opened, open};

    fn listed(channel: &Channel) -> ListedMessages {
        ListedMessages::open("7", &channel.source, Path::new("/")).unwrap().unwrap()
    }

    #[test]
    fn a_file_is_read_in_any_order_as_it_is_read_in_sequence() {
        let path = recording("small").join("out/part.json");
        let Opened::Messages(mut in_sequence) = open(&path).unwrap() else { panic!("DCE's layout") };
        let mut expected = Vec::new();
        let mut message = Vec::new();
        while let Some(id) = in_sequence.next(&mut message).unwrap() {
            expected.push((id, std::mem::take(&mut message)));
        }
        for source in [Channel::file(&path), Channel::case(recording("small"))] {
            let listed = listed(&source);
            assert_eq!(listed.count(), 12);
            for number in (0..12).rev() {
                let mut message = Vec::new();
                listed.read(number, &mut message).unwrap();
                assert_eq!((listed.id(number), message), expected[usize::try_from(number).unwrap()]);
            }
        }
    }

    #[test]
    fn ids_are_found_without_reading_messages() {
        let listed = listed(&Channel::generated(1_000_000, 7));
        for number in [0, 1, 4_711, 999_999] {
            let id = listed.id(number);
            assert_eq!(listed.count_below(id), number);
            assert_eq!(listed.count_below(Snowflake(id.0 + 1)), number + 1);
        }
        assert_eq!(
            (listed.count_below(Snowflake(0)), listed.count_below(Snowflake(u64::MAX))),
            (0, 1_000_000)
        );
    }

    #[test]
    fn a_source_without_messages_has_none_to_list() {
        let source = Source::Case(recording("forbidden"));
        assert!(ListedMessages::open("7", &source, Path::new("/")).unwrap().is_none());
    }
}
