//! From documents, growing or whole, to batches; blocking, on a thread of its own. Constant memory: one read buffer, one
//! message, and the batches that are on their way.

use std::io;
use std::time::{Duration, Instant};

use dce_core::ids::Snowflake;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::batch::{Batch, Origin, RowTooLarge, SealedBatch};
use super::frame::{DocumentEnd, Frame, FrameError, Framer, MAX_MESSAGE_BYTES};
use super::header::Header;
use super::message::{Message, MessageError};
use super::notice::notice;
use crate::dce::{Followed, Follower, IdleWait};

/// Bytes read from a file at once: they stay in the cache of the core until they are copied.
const READ_BYTES: usize = 64 << 10;
/// Bytes of rows in a batch (measured: more than 2 MB gains nothing).
const BATCH_BYTES: usize = 2 << 20;
/// Room for a batch with the message that fills it.
const BATCH_ROOM: usize = BATCH_BYTES + (256 << 10);
/// On a slow channel what has come so far is sent after this time.
const BATCH_TIME: Duration = Duration::from_millis(100);
/// Pause when nothing new is there: short after data, longer on a channel that is silent.
const IDLE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

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
    const fn is_of_document(&self) -> bool {
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
    /// Where the batches go; bounded, so that a slow database slows the reader.
    pub deliveries: mpsc::Sender<Delivery>,
    /// Where written batches come back for their buffers.
    pub recycled: mpsc::Receiver<Batch>,
}

impl<S: Source> Reader<S> {
    /// Reads until DCE has ended and everything it wrote has been delivered. Whole messages before an error are
    /// delivered too.
    pub fn read(mut self) -> Result<Documents, ReadError> {
        let mut gathering = Gathering::new(self.channel_id, self.job_id);
        let read = self.follow(&mut gathering);
        self.send(&mut gathering)?;
        read
    }

    fn follow(&mut self, gathering: &mut Gathering) -> Result<Documents, ReadError> {
        let mut documents = Documents::default();
        let mut buffer = vec![0; READ_BYTES];
        let mut idle = IdleWait::new(IDLE.0, IDLE.1);
        let mut framer = Framer::new(MAX_MESSAGE_BYTES);
        let mut first_fault = None;
        loop {
            match self.source.read(&mut buffer)? {
                Followed::Data(read) => {
                    idle.reset();
                    match framer.push(&buffer[..read], &mut |frame: Frame<'_>| self.take(gathering, frame)) {
                        // The framer ignores the rest of the document and calls it cut.
                        Err(fault) if self.origins == Origins::Files && fault.is_of_document() => {
                            first_fault.get_or_insert(fault);
                        }
                        pushed => pushed?,
                    }
                }
                Followed::EndOfPart { part } => {
                    match framer.finish() {
                        DocumentEnd::Complete { message_count, .. }
                            if message_count.is_some() || self.origins == Origins::Files =>
                        {
                            documents.complete += 1;
                        }
                        DocumentEnd::Complete { .. } | DocumentEnd::Cut { .. } => documents.cut += 1,
                    }
                    framer = Framer::new(MAX_MESSAGE_BYTES);
                    gathering.parts.push(part);
                }
                Followed::Idle => {
                    if self.deliveries.is_closed() {
                        return Err(ReadError::WriterStopped);
                    }
                    if gathering.is_due() {
                        self.send(gathering)?;
                    }
                    idle.wait();
                }
                Followed::End => return first_fault.map_or(Ok(documents), Err),
            }
        }
    }

    fn take(&mut self, gathering: &mut Gathering, frame: Frame<'_>) -> Result<(), ReadError> {
        match frame {
            Frame::Header(header) => {
                if header.channel.id != self.channel_id {
                    return Err(ReadError::OtherChannel(header.channel.id));
                }
                gathering.begin_document(&header);
                if !std::mem::replace(&mut gathering.described, true) {
                    self.deliver(Delivery::Channel(header))?;
                }
            }
            Frame::Message { json, members, repairs, left_out, source_bytes } => {
                let message = match members {
                    Some(members) => Message::of(json, members)?,
                    None => Message::parse(json)?,
                };
                if self.cursor.is_some_and(|cursor| message.id <= cursor) {
                    return Ok(());
                }
                gathering.batch.push(&message, repairs, source_bytes)?;
                gathering.batch.note(&notice(&message, left_out));
                gathering.in_order &= gathering.last.is_none_or(|last| last <= message.id);
                gathering.last = Some(message.id);
                gathering.since.get_or_insert_with(Instant::now);
                if gathering.batch.is_full(BATCH_BYTES) {
                    self.send(gathering)?;
                }
            }
            Frame::End { .. } => {}
        }
        Ok(())
    }

    fn send(&mut self, gathering: &mut Gathering) -> Result<(), ReadError> {
        gathering.since = None;
        if !gathering.batch.is_empty() {
            let mut empty =
                self.recycled.try_recv().unwrap_or_else(|_| Batch::new(&gathering.origin, BATCH_ROOM));
            empty.set_origin(&gathering.origin);
            let full = std::mem::replace(&mut gathering.batch, empty);
            self.deliver(Delivery::Rows { batch: Box::new(full.seal()), in_order: gathering.in_order })?;
        }
        for part in gathering.parts.drain(..) {
            self.deliver(Delivery::PartRead(part))?;
        }
        Ok(())
    }

    fn deliver(&self, delivery: Delivery) -> Result<(), ReadError> {
        self.deliveries.blocking_send(delivery).map_err(|_| ReadError::WriterStopped)
    }
}

/// The batch that is being filled and what goes with it.
struct Gathering {
    origin: Origin,
    batch: Batch,
    /// When the oldest message in the batch came.
    since: Option<Instant>,
    /// Parts that were read to their end since the last delivery.
    parts: Vec<u32>,
    /// Whether the channel has been told.
    described: bool,
    /// The last message's id.
    last: Option<Snowflake>,
    /// Whether no id so far was lower than one before it.
    in_order: bool,
}

impl Gathering {
    fn new(channel_id: Snowflake, job_id: Uuid) -> Self {
        let origin = Origin { channel_id, job_id, exported_at: None };
        let batch = Batch::new(&origin, BATCH_ROOM);
        Self { origin, batch, since: None, parts: Vec::new(), described: false, last: None, in_order: true }
    }

    fn begin_document(&mut self, header: &Header) {
        self.origin.exported_at = header.exported_at;
        self.batch.set_origin(&self.origin);
    }

    fn is_due(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= BATCH_TIME)
    }
}
