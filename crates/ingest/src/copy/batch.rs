//! Collects rows into batches, each a complete COPY stream.

use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Utc};
use dce_snowflake::Snowflake;

pub use super::row_encoder::{COLUMNS, Origin};
use super::row_encoder::{HEADER, SharedFields, TRAILER, author_id, put_row};
use super::summary::Summary;
use crate::message::columns::Message;

/// Largest accepted message, in bytes: half of Postgres's limit of 1 GB for a field.
const MAX_RAW_BYTES: usize = 512 << 20;

/// A message that is larger than a field of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message {id} of {bytes} bytes is too large for a row")]
pub struct RowTooLarge {
    pub id: Snowflake,
    /// Size of the minified JSON.
    pub bytes: usize,
}

/// Positions of a message's row in the stream.
#[derive(Debug, Clone, Copy)]
struct RowPosition {
    id: Snowflake,
    start: usize,
    raw_start: usize,
    raw_end: usize,
}

/// A message that is stored if it is not archived, and otherwise left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertOnly {
    /// An earlier attempt read this message, or others around it: it counts if its row is inserted.
    ReadAgain,
    /// A thread's starter from below everything that was asked for. It is outside of the batch's span.
    Starter {
        /// Whether it counts, inserted or not.
        counts: bool,
    },
}

/// A row that is inserted or dropped.
#[derive(Debug)]
struct InsertOnlyRow {
    index: usize,
    kind: InsertOnly,
    /// What the message adds to the counts if its row is inserted.
    if_inserted: Summary,
}

/// A batch that still accepts rows.
#[derive(Debug)]
pub struct Batch {
    rows: BytesMut,
    capacity: usize,
    summary: Summary,
    origin: Origin,
    newest_export: Option<DateTime<Utc>>,
    positions: Vec<RowPosition>,
    /// Few: in the order of their indexes.
    insert_only: Vec<InsertOnlyRow>,
    /// Size of the messages that a filter has dropped.
    dropped_bytes: usize,
    shared: SharedFields,
}

impl Batch {
    /// An empty batch with room for `capacity` bytes of rows. It grows if a message needs more.
    pub fn new(origin: &Origin, capacity: usize) -> Self {
        let mut batch = Self {
            rows: BytesMut::with_capacity(capacity),
            capacity,
            summary: Summary::default(),
            origin: *origin,
            newest_export: None,
            positions: Vec::new(),
            insert_only: Vec::new(),
            dropped_bytes: 0,
            shared: SharedFields::default(),
        };
        batch.set_origin(origin);
        batch.clear();
        batch
    }

    /// Sets the origin of the rows from now on: the next part of an export, or the next export.
    pub fn set_origin(&mut self, origin: &Origin) {
        self.origin = *origin;
        self.shared.set(origin);
    }

    /// Adds a message that took `source_bytes` of its document and needed `repairs`. `dropped_users`: users of its reactions
    /// that were dropped because it is too large with them.
    pub fn push(
        &mut self,
        message: &Message<'_>,
        repairs: u32,
        dropped_users: u64,
        source_bytes: u64,
    ) -> Result<(), RowTooLarge> {
        self.push_row(message)?;
        self.summary.add(message.id, message.timestamp, repairs, source_bytes);
        self.summary.quality.add(message, dropped_users);
        Ok(())
    }

    /// Adds a message that replaces no row. The other arguments are those of [`Self::push`].
    pub fn push_insert_only(
        &mut self,
        message: &Message<'_>,
        kind: InsertOnly,
        repairs: u32,
        dropped_users: u64,
        source_bytes: u64,
    ) -> Result<(), RowTooLarge> {
        self.push_row(message)?;
        let mut counts = Summary::default();
        counts.add(message.id, message.timestamp, repairs, source_bytes);
        counts.quality.add(message, dropped_users);
        let if_inserted = match kind {
            InsertOnly::ReadAgain => counts,
            InsertOnly::Starter { counts: is_counted } => {
                if is_counted {
                    self.summary.merge(&Summary { span: None, ..counts });
                }
                Summary::default()
            }
        };
        self.insert_only.push(InsertOnlyRow { index: self.positions.len() - 1, kind, if_inserted });
        Ok(())
    }

    /// Counts a message that a filter has dropped. It has no row. `in_window`: the batch reaches up to it.
    pub fn drop_filtered(&mut self, message: &Message<'_>, source_bytes: u64, in_window: bool) {
        let position = in_window.then_some((message.id, message.timestamp));
        self.summary.add_filtered(position, source_bytes);
        self.dropped_bytes = self.dropped_bytes.saturating_add(message.raw.len());
    }

    fn push_row(&mut self, message: &Message<'_>) -> Result<(), RowTooLarge> {
        // Every other field is a part of `raw` and no longer, so all lengths fit.
        if message.raw.len() > MAX_RAW_BYTES {
            return Err(RowTooLarge { id: message.id, bytes: message.raw.len() });
        }
        let start = self.rows.len();
        let raw_end = put_row(&mut self.rows, &self.shared, message);
        let raw_start = raw_end - message.raw.len();
        self.positions.push(RowPosition { id: message.id, start, raw_start, raw_end });
        self.newest_export = self.newest_export.max(self.origin.exported_at);
        Ok(())
    }

    /// Counts and range of the messages that count, inserted or not.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Whether it has neither rows nor counts.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.summary.filtered.messages == 0
    }

    /// Whether the rows and the messages that a filter has dropped have at least `max_bytes`: the cursor moves on although
    /// nothing matches.
    pub fn is_full(&self, max_bytes: usize) -> bool {
        self.rows.len().saturating_add(self.dropped_bytes) >= max_bytes
    }

    /// Completes the COPY stream.
    pub fn seal(mut self) -> SealedBatch {
        self.rows.put_i16(TRAILER);
        SealedBatch(self)
    }

    /// Drops the rows and keeps the buffer, except for what an oversized message added to it.
    pub fn clear(&mut self) {
        self.summary = Summary::default();
        self.positions.clear();
        self.insert_only.clear();
        self.dropped_bytes = 0;
        self.newest_export = None;
        if self.rows.capacity() > self.capacity.saturating_mul(2) {
            self.rows = BytesMut::with_capacity(self.capacity);
        }
        self.rows.clear();
        self.rows.extend_from_slice(HEADER);
    }
}

/// A batch that accepts no more rows. Its stream can be sent as often as the transaction has to be repeated.
#[derive(Debug)]
pub struct SealedBatch(Batch);

impl SealedBatch {
    /// The COPY stream, from signature to trailer.
    pub fn stream(&self) -> &[u8] {
        &self.0.rows
    }

    /// Counts and range of the messages that count, inserted or not.
    pub fn summary(&self) -> &Summary {
        &self.0.summary
    }

    /// Whether the message at this index replaces no row.
    pub fn is_insert_only(&self, index: usize) -> bool {
        self.insert_only(index).is_some()
    }

    /// Whether the message at this index is in [`Self::summary`].
    pub fn is_counted(&self, index: usize) -> bool {
        self.insert_only(index).is_none_or(|row| matches!(row.kind, InsertOnly::Starter { counts: true }))
    }

    /// What the message at this index adds to the counts if its row is inserted; `None` if that changes nothing.
    pub fn if_inserted(&self, index: usize) -> Option<&Summary> {
        let row = self.insert_only(index)?;
        (row.kind == InsertOnly::ReadAgain).then_some(&row.if_inserted)
    }

    /// Index of the starter from below the window, if the batch has one.
    pub fn starter(&self) -> Option<usize> {
        let is_starter = |row: &&InsertOnlyRow| matches!(row.kind, InsertOnly::Starter { .. });
        self.0.insert_only.iter().find(is_starter).map(|row| row.index)
    }

    fn insert_only(&self, index: usize) -> Option<&InsertOnlyRow> {
        let rows = &self.0.insert_only;
        rows.binary_search_by_key(&index, |row| row.index).ok().map(|at| &rows[at])
    }

    /// Ids of the messages, in the document's order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = Snowflake> {
        self.0.positions.iter().map(|row| row.id)
    }

    /// The minified JSON of the message at this index of the document's order; empty if there is none.
    pub fn raw(&self, index: usize) -> &str {
        let raw = self.0.positions.get(index).map_or(&[][..], |row| &self.0.rows[row.raw_start..row.raw_end]);
        // It was a `str` in `push`.
        std::str::from_utf8(raw).unwrap_or_default()
    }

    /// Author id in the row at this index.
    pub fn author_id(&self, index: usize) -> Option<&str> {
        let row = self.0.positions.get(index)?;
        author_id(self.0.rows.get(row.start..row.raw_end)?)
    }

    /// A COPY stream like [`Self::stream`], with the rows at these indexes only.
    pub fn select(&self, indexes: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let (rows, positions) = (&self.0.rows, &self.0.positions);
        let mut stream = HEADER.to_vec();
        for index in indexes {
            let Some(row) = positions.get(index) else { continue };
            let end = positions.get(index + 1).map_or(rows.len() - size_of_val(&TRAILER), |next| next.start);
            stream.extend_from_slice(&rows[row.start..end]);
        }
        stream.put_i16(TRAILER);
        stream
    }

    /// When the newest of the batch's documents was written, if any of them contains the time.
    pub fn newest_export(&self) -> Option<DateTime<Utc>> {
        self.0.newest_export
    }

    pub fn channel_id(&self) -> Snowflake {
        self.0.origin.channel_id
    }

    /// An empty batch of the same origin in the same buffer.
    pub fn recycle(mut self) -> Batch {
        self.0.clear();
        self.0
    }
}
