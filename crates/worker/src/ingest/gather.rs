//! The second half of reading: from blocks of frames to batches of rows.

use std::mem;

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::batch::{Batch, Origin};
use super::block::{Block, Item, Placed};
use super::frame::DocumentEnd;
use super::header::Header;
use super::message::Message;
use super::notice::notice;
use super::reader::{Delivery, Documents, Origins, ReadError};

/// Bytes of rows in a batch (measured: more than 2 MB gains nothing).
const BATCH_BYTES: usize = 2 << 20;
/// Bytes of documents in a batch, which archived messages fill: DCE's files are deleted batch by batch.
const BATCH_SOURCE_BYTES: u64 = 8 << 20;
/// Room for a batch with the message that fills it.
const BATCH_ROOM: usize = BATCH_BYTES + (256 << 10);

/// Fills batches and delivers them.
pub(super) struct Gatherer {
    origins: Origins,
    cursor: Option<Snowflake>,
    deliveries: mpsc::Sender<Delivery>,
    recycled: mpsc::Receiver<Batch>,
    documents: Documents,
    origin: Origin,
    batch: Batch,
    /// Parts that were read to their end since the last delivery.
    parts: Vec<u32>,
    /// Whether the channel has been told.
    described: bool,
    /// The last message's id.
    last: Option<Snowflake>,
    /// Whether no id so far was lower than one before it.
    in_order: bool,
    /// Of the documents that could not be read on, the first one's fault.
    first_fault: Option<ReadError>,
    /// The rest of the document is ignored.
    is_skipping: bool,
}

impl Gatherer {
    /// See [`Reader`](super::reader::Reader) for all of these.
    pub(super) fn new(
        origins: Origins,
        channel_id: Snowflake,
        job_id: Uuid,
        cursor: Option<Snowflake>,
        deliveries: mpsc::Sender<Delivery>,
        recycled: mpsc::Receiver<Batch>,
    ) -> Self {
        let origin = Origin { channel_id, job_id, exported_at: None };
        Self {
            origins,
            cursor,
            deliveries,
            recycled,
            documents: Documents::default(),
            batch: Batch::new(&origin, BATCH_ROOM),
            origin,
            parts: Vec::new(),
            described: false,
            last: None,
            in_order: true,
            first_fault: None,
            is_skipping: false,
        }
    }

    /// Gathers until there are no more blocks, or what they hold cannot be stored. Delivers what it has in any case.
    pub(super) fn run(
        mut self,
        mut framed: mpsc::Receiver<Block>,
        recycle: &mpsc::Sender<Block>,
    ) -> Result<Documents, ReadError> {
        let taken = self.take_all(&mut framed, recycle);
        self.send()?;
        if self.deliveries.is_closed() {
            return Err(ReadError::WriterStopped);
        }
        taken?;
        self.first_fault.map_or(Ok(self.documents), Err)
    }

    fn take_all(
        &mut self,
        framed: &mut mpsc::Receiver<Block>,
        recycle: &mpsc::Sender<Block>,
    ) -> Result<(), ReadError> {
        while let Some(block) = framed.blocking_recv() {
            for item in block.items() {
                self.take(&block, item)?;
            }
            if block.is_due {
                self.send()?;
            }
            // Full or gone: then the buffers are freed.
            let _ = recycle.try_send(block.recycle());
        }
        Ok(())
    }

    fn take(&mut self, block: &Block, item: &Item) -> Result<(), ReadError> {
        let taken = match item {
            Item::EndOfPart { part, end } => {
                self.end_part(*part, *end);
                return Ok(());
            }
            _ if self.is_skipping => return Ok(()),
            Item::Header(header) => self.begin_document(header),
            Item::Message(placed) => self.take_message(block, placed),
            Item::Archived { id, timestamp, source_bytes } => {
                self.take_archived(*id, *timestamp, *source_bytes)
            }
            Item::Fault(fault) => Err(ReadError::Frame(*fault)),
        };
        match taken {
            Err(fault) if self.origins == Origins::Files && fault.is_of_document() => {
                self.is_skipping = true;
                self.first_fault.get_or_insert(fault);
                Ok(())
            }
            taken => taken,
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

    fn take_message(&mut self, block: &Block, placed: &Placed) -> Result<(), ReadError> {
        let message = match block.message(placed) {
            (json, Some(members)) => Message::of(json, members)?,
            (json, None) => Message::parse(json)?,
        };
        if self.cursor.is_some_and(|cursor| message.id <= cursor) {
            return Ok(());
        }
        if placed.archived == Some(message.id) {
            self.batch.count(message.id, message.timestamp, placed.repairs, placed.source_bytes);
        } else {
            self.batch.push(&message, placed.repairs, placed.source_bytes)?;
        }
        self.batch.note(&notice(&message, placed.left_out));
        self.took(message.id)
    }

    fn take_archived(
        &mut self,
        id: Snowflake,
        timestamp: DateTime<Utc>,
        source_bytes: u64,
    ) -> Result<(), ReadError> {
        if self.cursor.is_some_and(|cursor| id <= cursor) {
            return Ok(());
        }
        self.batch.count(id, timestamp, 0, source_bytes);
        self.took(id)
    }

    /// A message is in the batch.
    fn took(&mut self, id: Snowflake) -> Result<(), ReadError> {
        self.in_order &= self.last.is_none_or(|last| last <= id);
        self.last = Some(id);
        let is_full =
            self.batch.is_full(BATCH_BYTES) || self.batch.summary().bytes_read >= BATCH_SOURCE_BYTES;
        if is_full { self.send() } else { Ok(()) }
    }

    fn end_part(&mut self, part: u32, end: DocumentEnd) {
        match end {
            DocumentEnd::Complete { message_count, .. }
                if !self.is_skipping && (message_count.is_some() || self.origins == Origins::Files) =>
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
            let mut empty = self.recycled.try_recv().unwrap_or_else(|_| Batch::new(&self.origin, BATCH_ROOM));
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
