//! Reads documents, growing or whole, into batches; blocking, on two threads: one cuts documents into messages, the other
//! makes rows of them. Constant memory: one read buffer, one message, and the blocks and batches in flight.

use std::panic::resume_unwind;
use std::thread;

use dce_ingest::copy::batch::{Batch, Origin};
use tokio::sync::mpsc;

use super::batcher::Batcher;
use super::delivery::{Delivery, Read, ReadError};
use super::framing_loop::FramingLoop;
use super::message_filter::MessageFilter;
use super::message_order::ReadStart;
use super::source::{Author, Source};
use super::summary::ReadSummary;

/// Blocks between the two threads, besides the one being filled and the one being emptied.
const BLOCKS_WAITING: usize = 2;

#[derive(Debug)]
pub(crate) struct DocumentReader<S> {
    pub(crate) source: S,
    pub(crate) author: Author,
    /// The channel that was asked for, and the export.
    pub(crate) origin: Origin,
    pub(crate) start: ReadStart,
    /// Only matching messages are stored; `None`: all.
    pub(crate) filter: Option<MessageFilter>,
    /// Where batches go; bounded, so that a slow database slows the reader.
    pub(crate) deliveries: mpsc::Sender<Delivery>,
    /// Written batches come back for their buffers.
    pub(crate) recycled: mpsc::Receiver<Batch>,
}

impl<S: Source + Send> DocumentReader<S> {
    /// Reads until the source ends and everything is delivered. Delivers whole messages before an error, too.
    pub(crate) fn read(self) -> Read {
        let Self { source, author, origin, start, filter, deliveries, recycled } = self;
        let (blocks, received) = mpsc::channel(BLOCKS_WAITING);
        let (recycle, emptied) = mpsc::channel(BLOCKS_WAITING + 1);
        let framing = FramingLoop { source, blocks, emptied, deliveries: deliveries.clone() };
        let batcher = Batcher::new(author, origin, start, filter, deliveries, recycled);
        thread::scope(|scope| {
            let batching = thread::Builder::new()
                .name("ingest-batcher".to_owned())
                .spawn_scoped(scope, move || batcher.run(received, &recycle));
            let batching = match batching {
                Ok(batching) => batching,
                Err(error) => return Read { documents: Err(error.into()), summary: ReadSummary::default() },
            };
            let framed = framing.run();
            let Read { documents, summary } = batching.join().unwrap_or_else(|panic| resume_unwind(panic));
            Read { documents: framed.map_err(ReadError::from).and(documents), summary }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::{io, iter};

    use dce_core::ids::Snowflake;
    use dce_filter::Filter;
    use uuid::Uuid;

    use super::*;
    use crate::ingest::read::delivery::Documents;
    use crate::ingest::read::framing_loop::BATCH_TIME;
    use crate::ingest::read::source::Chunk;

    const CHANNEL: u64 = 7;

    /// One read of a scripted source.
    enum Step {
        Bytes(String),
        EndOfPart(u32),
        /// For ever.
        Idle,
        /// Long enough for a batch to be delivered.
        Pause,
        Broken,
    }

    /// A source that plays its steps and ends.
    struct Script(VecDeque<Step>);

    impl Source for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<Chunk> {
            match self.0.pop_front() {
                Some(Step::Bytes(mut bytes)) => {
                    let len = bytes.len().min(buffer.len());
                    let rest = bytes.split_off(len);
                    buffer[..len].copy_from_slice(bytes.as_bytes());
                    if !rest.is_empty() {
                        self.0.push_front(Step::Bytes(rest));
                    }
                    Ok(Chunk::Data(len))
                }
                Some(Step::EndOfPart(part)) => Ok(Chunk::EndOfPart { part }),
                Some(Step::Idle) => {
                    self.0.push_front(Step::Idle); // for ever
                    Ok(Chunk::Idle)
                }
                Some(Step::Pause) => {
                    thread::sleep(BATCH_TIME);
                    Ok(Chunk::Idle)
                }
                Some(Step::Broken) => Err(io::Error::other("broken")),
                None => Ok(Chunk::End),
            }
        }
    }

    fn document(channel: u64, messages: &[String]) -> Step {
        let count = messages.len();
        let messages = messages.join(",");
        Step::Bytes(format!(
            r#"{{"channel":{{"id":"{channel}"}},"messages":[{messages}],"messageCount":{count}}}"#
        ))
    }

    fn message(id: u64) -> String {
        format!(r#"{{"id":"{id}","timestamp":"2024-07-03T09:46:40+00:00","content":"{id}"}}"#)
    }

    fn nameless() -> String {
        r#"{"timestamp":"2024-07-03T09:46:40+00:00"}"#.to_owned()
    }

    struct Received {
        documents: Result<Documents, ReadError>,
        ids: Vec<u64>,
        parts: Vec<u32>,
    }

    type Reading = thread::JoinHandle<Read>;

    /// From the channel's beginning.
    const BEGINNING: ReadStart =
        ReadStart { after: None, cursor: None, starter: Snowflake::new(CHANNEL), counts_starter: true };

    /// Reads on a thread of its own, as in the worker.
    fn begin(author: Author, steps: impl IntoIterator<Item = Step>) -> (Reading, mpsc::Receiver<Delivery>) {
        begin_filtered(author, steps, None)
    }

    fn begin_filtered(
        author: Author,
        steps: impl IntoIterator<Item = Step>,
        filter: Option<&str>,
    ) -> (Reading, mpsc::Receiver<Delivery>) {
        let (deliveries, delivered) = mpsc::channel(2);
        let (_, recycled) = mpsc::channel(3);
        let reader = DocumentReader {
            source: Script(steps.into_iter().collect()),
            author,
            origin: Origin { channel_id: Snowflake::new(CHANNEL), job_id: Uuid::nil(), exported_at: None },
            start: BEGINNING,
            filter: filter.map(|filter| Filter::parse(filter).unwrap().into()),
            deliveries,
            recycled,
        };
        (thread::spawn(move || reader.read()), delivered)
    }

    /// Reads to the end and receives every delivery.
    fn read(author: Author, steps: impl IntoIterator<Item = Step>) -> Received {
        let (reading, mut delivered) = begin(author, steps);
        let (mut ids, mut parts) = (Vec::new(), Vec::new());
        while let Some(delivery) = delivered.blocking_recv() {
            match delivery {
                Delivery::Channel(header) => assert_eq!(header.channel.id.get(), CHANNEL),
                Delivery::Rows { batch, .. } => {
                    ids.extend(batch.ids().map(Snowflake::get));
                }
                Delivery::PartRead(part) => parts.push(part),
            }
        }
        Received { documents: reading.join().unwrap().documents, ids, parts }
    }

    #[test]
    fn dropped_messages_are_counted_and_delivered_in_batches_of_their_own() {
        let id = |number: u64| number << 22;
        let messages: Vec<_> = (1..=60_000).map(|number| message(id(number))).collect();
        let steps = [document(CHANNEL, &messages), Step::EndOfPart(1)];
        let (reading, mut delivered) = begin_filtered(Author::OwnDce, steps, Some(&id(8).to_string()));
        let (mut ids, mut dropped, mut reached) = (Vec::new(), 0, Vec::new());
        while let Some(delivery) = delivered.blocking_recv() {
            if let Delivery::Rows { batch, in_order, .. } = delivery {
                let summary = batch.summary();
                ids.extend(batch.ids().map(Snowflake::get));
                assert_eq!(summary.messages, u64::from(reached.is_empty()), "matches only");
                assert!(in_order);
                dropped += summary.filtered.messages;
                reached.push(summary.filtered.reached.unwrap().0.get());
            }
        }
        assert_eq!(reading.join().unwrap().documents.unwrap(), Documents { complete: 1, cut: 0 });
        assert_eq!((ids, dropped), (vec![id(8)], 59_999));
        assert!(reached.len() > 1 && reached.is_sorted(), "the cursor moves on without matches: {reached:?}");
        assert_eq!(reached.last(), Some(&id(60_000)));
    }

    #[test]
    fn blocks_and_batches_keep_the_order_of_the_messages() {
        let ids: Vec<u64> = (1..=40_000).collect();
        let parts = ids.chunks(15_000).zip(1..).flat_map(|(ids, part)| {
            let messages: Vec<_> = ids.iter().map(|id| message(*id)).collect();
            [document(CHANNEL, &messages), Step::EndOfPart(part)]
        });
        let read = read(Author::OwnDce, parts);
        assert_eq!(read.documents.unwrap(), Documents { complete: 3, cut: 0 });
        assert_eq!((read.ids, read.parts), (ids, vec![1, 2, 3]));
    }

    #[test]
    fn a_faulty_file_does_not_stop_the_next_one() {
        let no_id = "a message has no usable `id`";
        let bad = [
            (document(CHANNEL, &[message(1), nameless(), message(2)]), no_id, vec![1, 3]),
            (document(8, &[message(2)]), "the output is of channel 8, which was not asked for", vec![3]),
            (Step::Bytes("[]".to_owned()), "the document is not a JSON object", vec![3]),
            // Two faults: the first one is reported.
            (document(CHANNEL, &[message(1), nameless(), message(2), "5".to_owned()]), no_id, vec![1, 3]),
        ];
        for (bad, fault, ids) in bad {
            let steps = [bad, Step::EndOfPart(1), document(CHANNEL, &[message(3)]), Step::EndOfPart(2)];
            let read = read(Author::Unknown, steps);
            assert_eq!(read.documents.unwrap_err().to_string(), fault);
            assert_eq!((read.ids, read.parts), (ids, vec![1, 2]), "{fault}");
        }
    }

    #[test]
    fn a_fault_in_our_own_document_ends_the_reading_behind_the_messages_before_it() {
        let steps = [
            document(CHANNEL, &[message(1), nameless(), message(2)]),
            Step::EndOfPart(1),
            document(CHANNEL, &[message(3)]),
        ];
        let read = read(Author::OwnDce, steps);
        assert!(matches!(read.documents, Err(ReadError::Message(_))), "{:?}", read.documents);
        assert_eq!((read.ids, read.parts), (vec![1], vec![]));
    }

    #[test]
    fn a_fault_in_our_own_document_ends_the_reading_while_dce_writes_on() {
        for fault in
            [document(CHANNEL, &[message(1), nameless(), message(2)]), document(CHANNEL, &["5".into()])]
        {
            let read = read(Author::OwnDce, [fault, Step::Idle]);
            assert!(read.documents.is_err());
        }
    }

    #[test]
    fn a_read_error_is_returned_after_the_messages_before_it() {
        let read = read(Author::Unknown, [document(CHANNEL, &[message(1)]), Step::Broken]);
        assert!(matches!(read.documents, Err(ReadError::Io(_))), "{:?}", read.documents);
        assert_eq!(read.ids, [1]);
    }

    #[test]
    fn a_batch_that_continues_a_millisecond_carries_the_ids_before_it() {
        let ms = 1 << 22;
        let ids = [ms + 7, ms + 3, ms + 7, ms + 9, ms + 3, 2 * ms];
        let parts = ids
            .iter()
            .zip(1..)
            .flat_map(|(id, part)| [document(CHANNEL, &[message(*id)]), Step::EndOfPart(part), Step::Pause]);
        let (reading, mut delivered) = begin(Author::OwnDce, parts);
        let mut ranges = Vec::new();
        while let Some(delivery) = delivered.blocking_recv() {
            if let Delivery::Rows { batch, in_order, range } = delivery {
                assert!(in_order);
                let ids: Vec<_> = batch.ids().map(Snowflake::get).collect();
                let present: Vec<_> = range.present.ids.iter().map(|id| id.get()).collect();
                let ends = [range.from, range.to].map(|id| id.map(Snowflake::get));
                ranges.push((ids, ends, range.continues, present));
            }
        }
        let tie = Some(ms);
        assert_eq!(
            ranges,
            [
                (vec![ms + 7], [None, tie], false, vec![]),
                (vec![ms + 3], [tie, tie], true, vec![ms + 7]),
                (vec![ms + 9], [tie, tie], true, vec![ms + 3, ms + 7]),
                (vec![2 * ms], [tie, Some(2 * ms)], false, vec![ms + 3, ms + 7, ms + 9]),
            ]
        );
        assert_eq!(reading.join().unwrap().summary.newest(), Some(Snowflake::new(2 * ms)));
    }

    #[test]
    fn messages_of_a_slow_channel_do_not_wait_for_a_full_batch() {
        let steps = [document(CHANNEL, &[message(1), message(2)]), Step::Idle];
        let (reading, mut delivered) = begin(Author::OwnDce, steps);
        let rows = iter::from_fn(|| delivered.blocking_recv()).find_map(|delivery| match delivery {
            Delivery::Rows { batch, .. } => Some(batch.summary().messages),
            _ => None,
        });
        assert_eq!(rows, Some(2), "although the document continues");
        drop(delivered);
        let stopped = reading.join().unwrap().documents;
        assert!(matches!(stopped, Err(ReadError::WriterStopped)), "{stopped:?}");
    }
}
