//! The second thread of reading: from blocks of frames to batches of rows.

use std::mem;

use dce_core::ids::Snowflake;
use dce_ingest::copy::batch::{Batch, Origin};
use dce_ingest::document::frame::DocumentEnd;
use dce_ingest::document::header::Header;
use dce_ingest::message::columns::Message;
use tokio::sync::mpsc;

use super::block::{Block, Item, MessageItem};
use super::delivery::{Delivery, Documents, ReadError};
use super::source::Author;

/// Bytes of rows in a batch (measured: more than 2 MB gains nothing).
const BATCH_BYTES: usize = 2 << 20;
/// Capacity of a batch, including the message that fills it.
const BATCH_CAPACITY: usize = BATCH_BYTES + (256 << 10);

/// Fills batches and delivers them.
pub(super) struct Batcher {
    author: Author,
    cursor: Option<Snowflake>,
    deliveries: mpsc::Sender<Delivery>,
    recycled: mpsc::Receiver<Batch>,
    documents: Documents,
    origin: Origin,
    batch: Batch,
    /// Parts that were read to their end since the last delivery.
    parts: Vec<u32>,
    /// Whether the channel's description was delivered.
    described: bool,
    last_id: Option<Snowflake>,
    /// Whether no id so far was lower than one before it.
    in_order: bool,
    /// The fault of the first document that could not be read on.
    first_fault: Option<ReadError>,
    /// Whether the rest of the document is ignored.
    is_skipping: bool,
}

impl Batcher {
    pub(super) fn new(
        author: Author,
        origin: Origin,
        cursor: Option<Snowflake>,
        deliveries: mpsc::Sender<Delivery>,
        recycled: mpsc::Receiver<Batch>,
    ) -> Self {
        Self {
            author,
            cursor,
            deliveries,
            recycled,
            documents: Documents::default(),
            batch: Batch::new(&origin, BATCH_CAPACITY),
            origin,
            parts: Vec::new(),
            described: false,
            last_id: None,
            in_order: true,
            first_fault: None,
            is_skipping: false,
        }
    }

    /// Receives blocks until there are no more, or until one cannot be stored. Delivers everything before that in any case.
    pub(super) fn run(
        mut self,
        mut blocks: mpsc::Receiver<Block>,
        emptied: &mpsc::Sender<Block>,
    ) -> Result<Documents, ReadError> {
        let received = self.receive_all(&mut blocks, emptied);
        self.send()?;
        if self.deliveries.is_closed() {
            return Err(ReadError::WriterStopped);
        }
        received?;
        self.first_fault.map_or(Ok(self.documents), Err)
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
        if self.cursor.is_some_and(|cursor| message.id <= cursor) {
            return Ok(());
        }
        self.batch.push(&message, item.repairs, item.dropped_users, item.source_bytes)?;
        self.in_order &= self.last_id.is_none_or(|last| last <= message.id);
        self.last_id = Some(message.id);
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
            self.deliver(Delivery::Rows { batch: Box::new(full.seal()), in_order: self.in_order })?;
        }
        for part in mem::take(&mut self.parts) {
            self.deliver(Delivery::PartRead(part))?;
        }
        Ok(())
    }

    fn deliver(&self, delivery: Delivery) -> Result<(), ReadError> {
        self.deliveries.blocking_send(delivery).map_err(|_| ReadError::WriterStopped)
    }
}
