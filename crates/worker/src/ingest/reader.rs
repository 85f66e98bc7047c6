//! From documents, growing or whole, to batches; blocking, on two threads of its own: one cuts documents into messages,
//! the other makes rows of them. Constant memory: one read buffer, one message, and the blocks and batches that are on
//! their way.

use std::io;
use std::panic::resume_unwind;
use std::thread;

use dce_core::ids::Snowflake;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::archived::Archived;
use super::batch::{Batch, RowTooLarge, SealedBatch};
use super::frame::FrameError;
use super::framing::Framing;
use super::gather::Gatherer;
use super::header::Header;
use super::message::MessageError;
use crate::dce::{Followed, Follower};

/// Blocks on their way from one thread to the other, besides the one being filled and the one being emptied.
const BLOCKS_WAITING: usize = 2;

/// What the reader hands to the writer, in order.
#[derive(Debug)]
pub enum Delivery {
    /// What the first document says of its channel.
    Channel(Box<Header>),
    /// Messages.
    Rows {
        /// The batch.
        batch: Box<SealedBatch>,
        /// Whether no id so far was lower than one before it.
        in_order: bool,
    },
    /// Everything of this part has been delivered before; once committed its file can go.
    PartRead(u32),
}

/// Why reading stopped before the end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The files.
    #[error("the output cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The document.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A message beyond a row.
    #[error(transparent)]
    Row(#[from] RowTooLarge),
    /// A document of another channel than asked for.
    #[error("the output is of channel {0}, which was not asked for")]
    OtherChannel(Snowflake),
    /// Nobody takes the batches any more.
    #[error("the writer has stopped")]
    WriterStopped,
}

impl ReadError {
    /// Whether it is one document that cannot be read on, so that others still can.
    pub(super) const fn is_of_document(&self) -> bool {
        match self {
            Self::Frame(_) | Self::Message(_) | Self::Row(_) | Self::OtherChannel(_) => true,
            Self::Io(_) | Self::WriterStopped => false,
        }
    }
}

/// Where the bytes of documents come from, one part after the other.
pub trait Source {
    /// Reads on into `buffer`, which is not empty.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Followed>;
}

impl Source for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Followed> {
        Self::read(self, buffer)
    }
}

/// What is known of the documents beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origins {
    /// A DCE of ours writes them: something unexpected in one ends it all, and without the count that DCE always writes
    /// nobody knows whether a document is whole.
    OwnDce,
    /// Files that somebody has: each is read as far as it can be, and may lack the count.
    Files,
}

/// What was read when DCE had ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Documents {
    /// Documents that are closed and whose counts agree.
    pub complete: u32,
    /// Documents that are not.
    pub cut: u32,
}

/// What the reader needs to know and whom it tells.
#[derive(Debug)]
pub struct Reader<S> {
    /// The documents.
    pub source: S,
    /// Who wrote them.
    pub origins: Origins,
    /// Which channel was asked for.
    pub channel_id: Snowflake,
    /// For which export.
    pub job_id: Uuid,
    /// Everything up to here is committed and counted; DCE's `--after` is exact (DCE 2.47: docs/dce.md), so what comes from
    /// below was not asked for.
    pub cursor: Option<Snowflake>,
    /// What of it need not be read in full.
    pub archived: Archived,
    /// Where the batches go; bounded, so that a slow database slows the reader.
    pub deliveries: mpsc::Sender<Delivery>,
    /// Where written batches come back for their buffers.
    pub recycled: mpsc::Receiver<Batch>,
}

impl<S: Source> Reader<S> {
    /// Reads until DCE has ended and everything it wrote has been delivered. Whole messages before an error are
    /// delivered too.
    pub fn read(self) -> Result<Documents, ReadError> {
        let Self { source, origins, channel_id, job_id, cursor, archived, deliveries, recycled } = self;
        let (blocks, framed) = mpsc::channel(BLOCKS_WAITING);
        let (recycle, emptied) = mpsc::channel(BLOCKS_WAITING + 1);
        let framing = Framing { source, archived, blocks, emptied, deliveries: deliveries.clone() };
        let gatherer = Gatherer::new(origins, channel_id, job_id, cursor, deliveries, recycled);
        thread::scope(|scope| {
            let gathering = thread::Builder::new()
                .name("ingest-rows".to_owned())
                .spawn_scoped(scope, move || gatherer.run(framed, &recycle))?;
            let read = framing.run();
            let gathered = gathering.join().unwrap_or_else(|panic| resume_unwind(panic));
            read.map_err(ReadError::from).and(gathered)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::iter;

    use super::*;
    use crate::ingest::batch::Summary;

    const CHANNEL: u64 = 7;

    /// What a source says, one after the other, and its end.
    enum Said {
        Bytes(String),
        EndOfPart(u32),
        Idle,
        Broken,
    }

    struct Told(VecDeque<Said>);

    impl Source for Told {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<Followed> {
            match self.0.pop_front() {
                Some(Said::Bytes(mut bytes)) => {
                    let len = bytes.len().min(buffer.len());
                    let rest = bytes.split_off(len);
                    buffer[..len].copy_from_slice(bytes.as_bytes());
                    if !rest.is_empty() {
                        self.0.push_front(Said::Bytes(rest));
                    }
                    Ok(Followed::Data(len))
                }
                Some(Said::EndOfPart(part)) => Ok(Followed::EndOfPart { part }),
                Some(Said::Idle) => {
                    self.0.push_front(Said::Idle); // and nothing after it
                    Ok(Followed::Idle)
                }
                Some(Said::Broken) => Err(io::Error::other("broken")),
                None => Ok(Followed::End),
            }
        }
    }

    fn document(channel: u64, messages: &[String]) -> Said {
        let count = messages.len();
        let messages = messages.join(",");
        Said::Bytes(format!(
            r#"{{"channel":{{"id":"{channel}"}},"messages":[{messages}],"messageCount":{count}}}"#
        ))
    }

    fn message(id: u64) -> String {
        format!(r#"{{"id":"{id}","timestamp":"2024-07-03T09:46:40+00:00","content":"{id}"}}"#)
    }

    fn nameless() -> String {
        r#"{"timestamp":"2024-07-03T09:46:40+00:00"}"#.to_owned()
    }

    struct Read {
        documents: Result<Documents, ReadError>,
        ids: Vec<u64>,
        parts: Vec<u32>,
        summaries: Vec<Summary>,
    }

    type Reading = thread::JoinHandle<Result<Documents, ReadError>>;

    /// Reads on a thread of its own, as it is done outside of tests.
    fn begin(
        origins: Origins,
        said: impl IntoIterator<Item = Said>,
        archived: Archived,
    ) -> (Reading, mpsc::Receiver<Delivery>) {
        let (deliveries, delivered) = mpsc::channel(2);
        let (_, recycled) = mpsc::channel(3);
        let reader = Reader {
            source: Told(said.into_iter().collect()),
            origins,
            channel_id: CHANNEL.to_string().parse().unwrap(),
            job_id: Uuid::nil(),
            cursor: None,
            archived,
            deliveries,
            recycled,
        };
        (thread::spawn(move || reader.read()), delivered)
    }

    /// Reads, and takes everything.
    fn read(origins: Origins, said: impl IntoIterator<Item = Said>) -> Read {
        read_beside(origins, said, Archived::unknown())
    }

    fn read_beside(origins: Origins, said: impl IntoIterator<Item = Said>, archived: Archived) -> Read {
        let (reading, mut delivered) = begin(origins, said, archived);
        let (mut ids, mut parts, mut summaries) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(delivery) = delivered.blocking_recv() {
            match delivery {
                Delivery::Channel(header) => assert_eq!(header.channel.id.get(), CHANNEL),
                Delivery::Rows { batch, .. } => {
                    ids.extend(batch.ids().map(Snowflake::get));
                    summaries.push(*batch.summary());
                }
                Delivery::PartRead(part) => parts.push(part),
            }
        }
        Read { documents: reading.join().unwrap(), ids, parts, summaries }
    }

    #[test]
    fn blocks_and_batches_keep_the_order_of_the_messages() {
        let ids: Vec<u64> = (1..=40_000).collect();
        let parts = ids.chunks(15_000).zip(1..).flat_map(|(ids, part)| {
            let messages: Vec<_> = ids.iter().map(|id| message(*id)).collect();
            [document(CHANNEL, &messages), Said::EndOfPart(part)]
        });
        let read = read(Origins::OwnDce, parts);
        assert_eq!(read.documents.unwrap(), Documents { complete: 3, cut: 0 });
        assert_eq!((read.ids, read.parts), (ids, vec![1, 2, 3]));
    }

    #[test]
    fn of_files_the_next_one_is_read_whatever_was_wrong_with_the_one_before() {
        let no_id = "a message has no usable `id`";
        let bad = [
            (document(CHANNEL, &[message(1), nameless(), message(2)]), no_id, vec![1, 3]),
            (document(8, &[message(2)]), "the output is of channel 8, which was not asked for", vec![3]),
            (Said::Bytes("[]".to_owned()), "the document is not a JSON object", vec![3]),
            // Two faults: the first one is told.
            (document(CHANNEL, &[message(1), nameless(), message(2), "5".to_owned()]), no_id, vec![1, 3]),
        ];
        for (bad, fault, ids) in bad {
            let said = [bad, Said::EndOfPart(1), document(CHANNEL, &[message(3)]), Said::EndOfPart(2)];
            let read = read(Origins::Files, said);
            assert_eq!(read.documents.unwrap_err().to_string(), fault);
            assert_eq!((read.ids, read.parts), (ids, vec![1, 2]), "{fault}");
        }
    }

    #[test]
    fn of_our_own_documents_a_fault_ends_the_reading_with_what_is_before_it() {
        let said = [
            document(CHANNEL, &[message(1), nameless(), message(2)]),
            Said::EndOfPart(1),
            document(CHANNEL, &[message(3)]),
        ];
        let read = read(Origins::OwnDce, said);
        assert!(matches!(read.documents, Err(ReadError::Message(_))), "{:?}", read.documents);
        assert_eq!((read.ids, read.parts), (vec![1], vec![]));
    }

    #[test]
    fn a_fault_ends_the_reading_of_our_own_documents_while_dce_writes_on() {
        for fault in
            [document(CHANNEL, &[message(1), nameless(), message(2)]), document(CHANNEL, &["5".into()])]
        {
            let read = read(Origins::OwnDce, [fault, Said::Idle]);
            assert!(read.documents.is_err());
        }
    }

    #[test]
    fn files_that_cannot_be_read_on_are_an_error_after_what_was_read() {
        let read = read(Origins::Files, [document(CHANNEL, &[message(1)]), Said::Broken]);
        assert!(matches!(read.documents, Err(ReadError::Io(_))), "{:?}", read.documents);
        assert_eq!(read.ids, [1]);
    }

    #[test]
    fn what_is_archived_counts_but_makes_no_row() {
        let by_somebody = |id: u64, content: &str| {
            format!(
                r#"{{"id":"{id}","type":"Default","timestamp":"2024-07-03T09:46:40+00:00","content":"{content}","author":{{"id":"8"}}}}"#
            )
        };
        let twice = r#"{"id":"5","timestamp":"2024-07-03T09:46:40+00:00","content":"5","id":"6"}"#.to_owned();
        let messages = [
            by_somebody(1, "read over"),
            by_somebody(2, "new"),
            by_somebody(3, ""),        // blank
            by_somebody(4, r"\u0000"), // repaired
            twice,
            by_somebody(7, "new"),
            message(8), // nobody's, so it is read in full
        ];
        let said = || [document(CHANNEL, &messages), Said::EndOfPart(1)];
        let whole = read(Origins::OwnDce, said());
        assert_eq!(whole.ids, [1, 2, 3, 4, 6, 7, 8]);
        let read = read_beside(Origins::OwnDce, said(), Archived::known(&[1, 3, 4, 5, 8]));
        assert_eq!(read.ids, [2, 6, 7], "of a key that is there twice the last value counts");
        assert_eq!((read.documents.unwrap(), &read.parts), (whole.documents.unwrap(), &whole.parts));
        assert_eq!(read.summaries, whole.summaries);
        let [Summary { messages: 7, repairs: 1, counters, .. }] = read.summaries[..] else {
            panic!("{:?}", read.summaries);
        };
        assert_eq!(counters.blank, 1);
    }

    #[test]
    fn archived_messages_fill_batches_too() {
        let ids: Vec<u64> = (1..=200_000).collect();
        let messages: Vec<_> = ids.iter().map(|id| message(*id)).collect();
        let read = read_beside(Origins::OwnDce, [document(CHANNEL, &messages)], Archived::known(&ids));
        assert!(read.ids.len() < 300, "but for those whose id lies in two chunks");
        assert_eq!(read.summaries.iter().map(|summary| summary.messages).sum::<u64>(), 200_000);
        assert!(read.summaries.len() > 1, "parts are deleted batch by batch");
    }

    #[test]
    fn on_a_slow_channel_messages_do_not_wait_for_a_full_batch() {
        let said = [document(CHANNEL, &[message(1), message(2)]), Said::Idle];
        let (reading, mut delivered) = begin(Origins::OwnDce, said, Archived::unknown());
        let rows = iter::from_fn(|| delivered.blocking_recv()).find_map(|delivery| match delivery {
            Delivery::Rows { batch, .. } => Some(batch.summary().messages),
            _ => None,
        });
        assert_eq!(rows, Some(2), "though the document goes on");
        drop(delivered);
        let stopped = reading.join().unwrap();
        assert!(matches!(stopped, Err(ReadError::WriterStopped)), "{stopped:?}");
    }
}
