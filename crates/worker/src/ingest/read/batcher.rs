//! The second thread of reading: from blocks of frames to batches of rows.

use std::mem;

use dce_core::ids::Snowflake;
use dce_ingest::copy::batch::{Batch, InsertOnly, Origin};
use dce_ingest::document::frame::DocumentEnd;
use dce_ingest::document::header::Header;
use dce_ingest::message::columns::Message;
use tokio::sync::mpsc;

use super::block::{Block, Item, MessageItem};
use super::delivery::{Delivery, Documents, Read, ReadError, ReadRange};
use super::message_filter::MessageFilter;
use super::message_order::{MessageOrder, Place, ReadStart};
use super::source::Author;
use super::summary::ReadSummary;

/// Bytes of rows in a batch (measured: more than 2 MB gains nothing).
const BATCH_BYTES: usize = 2 << 20;
/// Capacity of a batch, including the message that fills it.
const BATCH_CAPACITY: usize = BATCH_BYTES + (256 << 10);

/// Fills batches and delivers them.
pub(super) struct Batcher {
    author: Author,
    deliveries: mpsc::Sender<Delivery>,
    recycled: mpsc::Receiver<Batch>,
    documents: Documents,
    origin: Origin,
    batch: Batch,
    /// Parts that were read to their end since the last delivery.
    parts: Vec<u32>,
    /// Whether the channel's description was delivered.
    described: bool,
    order: MessageOrder,
    /// Only matching messages are stored.
    filter: Option<MessageFilter>,
    summary: ReadSummary,
    /// The ids of the millisecond in which the last delivered batch ended.
    delivered_latest: Vec<Snowflake>,
    /// Whether the batch has messages of that millisecond.
    continues: bool,
    /// The fault of the first document that could not be read on.
    first_fault: Option<ReadError>,
    /// Whether the rest of the document is ignored.
    is_skipping: bool,
}

impl Batcher {
    pub(super) fn new(
        author: Author,
        origin: Origin,
        start: ReadStart,
        filter: Option<MessageFilter>,
        deliveries: mpsc::Sender<Delivery>,
        recycled: mpsc::Receiver<Batch>,
    ) -> Self {
        Self {
            author,
            deliveries,
            recycled,
            documents: Documents::default(),
            batch: Batch::new(&origin, BATCH_CAPACITY),
            origin,
            parts: Vec::new(),
            described: false,
            order: MessageOrder::new(start),
            filter,
            summary: ReadSummary::default(),
            delivered_latest: Vec::new(),
            continues: false,
            first_fault: None,
            is_skipping: false,
        }
    }

    /// Receives blocks until there are no more, or until one cannot be stored. Delivers everything before that in any case.
    pub(super) fn run(mut self, blocks: mpsc::Receiver<Block>, emptied: &mpsc::Sender<Block>) -> Read {
        let documents = self.read(blocks, emptied);
        self.summary.finish(&self.order);
        Read { documents, summary: self.summary }
    }

    fn read(
        &mut self,
        mut blocks: mpsc::Receiver<Block>,
        emptied: &mpsc::Sender<Block>,
    ) -> Result<Documents, ReadError> {
        let received = self.receive_all(&mut blocks, emptied);
        self.send()?;
        if self.deliveries.is_closed() {
            return Err(ReadError::WriterStopped);
        }
        received?;
        self.first_fault.take().map_or(Ok(self.documents), Err)
    }

    fn receive_all(
        &mut self,
        blocks: &mut mpsc::Receiver<Block>,
        emptied: &mpsc::Sender<Block>,
    ) -> Result<(), ReadError> {
        while let Some(block) = blocks.blocking_recv() {
            for item in block.items() {
                self.receive(&block, item)?;
            }
            if block.is_due {
                self.send()?;
            }
            // Full or closed: then the buffers are freed.
            let _ = emptied.try_send(block.recycle());
        }
        Ok(())
    }

    fn receive(&mut self, block: &Block, item: &Item) -> Result<(), ReadError> {
        let received = match item {
            Item::EndOfPart { part, end } => {
                self.end_part(*part, *end);
                return Ok(());
            }
            _ if self.is_skipping => return Ok(()),
            Item::Header(header) => self.begin_document(header),
            Item::Message(message) => self.add_message(block, message),
            Item::Fault(fault) => Err(ReadError::Frame(*fault)),
        };
        match received {
            Err(fault) if self.author == Author::Unknown && fault.concerns_one_document() => {
                self.is_skipping = true;
                self.first_fault.get_or_insert(fault);
                Ok(())
            }
            received => received,
        }
    }

    fn begin_document(&mut self, header: &Header) -> Result<(), ReadError> {
        if header.channel.id != self.origin.channel_id {
            return Err(ReadError::OtherChannel(header.channel.id));
        }
        self.origin.exported_at = header.exported_at;
        self.batch.set_origin(&self.origin);
        if !mem::replace(&mut self.described, true) {
            self.deliver(Delivery::Channel(Box::new(header.clone())))?;
        }
        Ok(())
    }

    fn add_message(&mut self, block: &Block, item: &MessageItem) -> Result<(), ReadError> {
        let message = match block.message(item) {
            (json, Some(members)) => Message::from_members(json, members)?,
            (json, None) => Message::parse(json)?,
        };
        let place = self.order.place(message.id);
        if place != Place::Starter {
            self.summary.add(&message);
        }
        let (repairs, users, bytes) = (item.repairs, item.dropped_users, item.source_bytes);
        let is_dropped = self.filter.as_ref().is_some_and(|filter| !filter.matches(&message));
        let insert_only = match place {
            Place::Repeated => return Ok(()),
            _ if is_dropped => return self.drop_filtered(&message, place, bytes),
            Place::New => None,
            Place::ReadAgain => Some(InsertOnly::ReadAgain),
            Place::Starter => Some(InsertOnly::Starter { counts: self.order.start().counts_starter }),
        };
        match insert_only {
            None => self.batch.push(&message, repairs, users, bytes)?,
            Some(kind) => self.batch.push_insert_only(&message, kind, repairs, users, bytes)?,
        }
        self.fill(message.id)
    }

    /// Counts a message that is not stored. One that an earlier attempt has read is not counted again: no row tells whether
    /// it was.
    fn drop_filtered(
        &mut self,
        message: &Message<'_>,
        place: Place,
        source_bytes: u64,
    ) -> Result<(), ReadError> {
        match place {
            Place::New => self.batch.drop_filtered(message, source_bytes, true),
            Place::Starter if self.order.start().counts_starter => {
                self.batch.drop_filtered(message, source_bytes, false);
            }
            Place::Starter | Place::ReadAgain | Place::Repeated => return Ok(()),
        }
        self.fill(message.id)
    }

    /// Notes that the batch reaches up to this message, and delivers it if it is full.
    fn fill(&mut self, id: Snowflake) -> Result<(), ReadError> {
        self.continues |=
            self.delivered_latest.first().is_some_and(|latest| latest.millisecond() == id.millisecond());
        if self.batch.is_full(BATCH_BYTES) { self.send() } else { Ok(()) }
    }

    fn end_part(&mut self, part: u32, end: DocumentEnd) {
        match end {
            DocumentEnd::Complete { message_count, .. }
                if !self.is_skipping && (message_count.is_some() || self.author == Author::Unknown) =>
            {
                self.documents.complete += 1;
            }
            DocumentEnd::Complete { .. } | DocumentEnd::Cut { .. } => self.documents.cut += 1,
        }
        self.is_skipping = false;
        self.parts.push(part);
    }

    fn send(&mut self) -> Result<(), ReadError> {
        if !self.batch.is_empty() {
            let mut empty =
                self.recycled.try_recv().unwrap_or_else(|_| Batch::new(&self.origin, BATCH_CAPACITY));
            empty.set_origin(&self.origin);
            let full = mem::replace(&mut self.batch, empty);
            let (in_order, range) = (self.order.is_in_order(), self.range());
            self.deliver(Delivery::Rows { batch: Box::new(full.seal()), in_order, range })?;
        }
        for part in mem::take(&mut self.parts) {
            self.deliver(Delivery::PartRead(part))?;
        }
        Ok(())
    }

    /// The range of the batch that is about to be delivered.
    fn range(&mut self) -> ReadRange {
        let first = |ids: &[Snowflake]| ids.first().map(|id| id.first_of_millisecond());
        let (from, to) = (first(&self.delivered_latest), first(self.order.latest()));
        let present = self.summary.present(&self.delivered_latest, self.order.has_starter());
        self.order.latest().clone_into(&mut self.delivered_latest);
        ReadRange { from, to, continues: mem::take(&mut self.continues), present }
    }

    fn deliver(&self, delivery: Delivery) -> Result<(), ReadError> {
        self.deliveries.blocking_send(delivery).map_err(|_| ReadError::WriterStopped)
    }
}
