//! Rows in PostgreSQL's binary COPY format, gathered into batches.
//!
//! Format: <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>.

use bytes::{Buf, BufMut, BytesMut};
use chrono::{DateTime, Utc};
use dce_core::export::warnings::Counters;
use dce_core::ids::Snowflake;
pub use dce_core::store::batches::copy::COPY_COLUMNS;
use uuid::Uuid;

use super::message::Message;

const COLUMNS: i16 = 11;

/// Signature, no flags, no header extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
const NULL: i32 = -1;
const JSONB_VERSION: u8 = 1;

/// 2000-01-01T00:00:00Z, where Postgres counts from, in microseconds since 1970.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// Largest message accepted, in bytes: half of Postgres's limit of 1 GB for a field.
const MAX_RAW_BYTES: usize = 512 << 20;

/// A message beyond what a field of Postgres can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message {id} of {bytes} bytes is too large for a row")]
pub struct RowTooLarge {
    /// The message.
    pub id: Snowflake,
    /// Its size as minified JSON.
    pub bytes: usize,
}

/// What the rows of one document have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The channel or thread the messages are stored under.
    pub channel_id: Snowflake,
    /// The export that brings them.
    pub job_id: Uuid,
    /// When DCE wrote the document.
    pub exported_at: Option<DateTime<Utc>>,
}

/// What a batch holds, apart from the rows themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages, with a row or without.
    pub messages: u64,
    /// Bytes of the documents that these messages took.
    pub bytes_read: u64,
    /// Messages in which something was replaced.
    pub repaired_messages: u64,
    /// Characters that were replaced.
    pub repairs: u64,
    /// What was noticed about messages.
    pub counters: Counters,
    /// Ids and times; `None` while there are no messages.
    pub span: Option<Span>,
}

/// From where to where the messages of a batch go. Ids are compared as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first message in the document's order.
    pub first_id: Snowflake,
    /// The last message in the document's order.
    pub last_id: Snowflake,
    /// The smallest id, which is not the first in a reversed document.
    pub lowest_id: Snowflake,
    /// The greatest id.
    pub highest_id: Snowflake,
    /// The earliest time a message was sent.
    pub oldest_at: DateTime<Utc>,
    /// The latest time a message was sent.
    pub newest_at: DateTime<Utc>,
}

impl Span {
    const fn of(id: Snowflake, at: DateTime<Utc>) -> Self {
        Self { first_id: id, last_id: id, lowest_id: id, highest_id: id, oldest_at: at, newest_at: at }
    }

    fn extended_by(self, id: Snowflake, at: DateTime<Utc>) -> Self {
        Self {
            first_id: self.first_id,
            last_id: id,
            lowest_id: self.lowest_id.min(id),
            highest_id: self.highest_id.max(id),
            oldest_at: self.oldest_at.min(at),
            newest_at: self.newest_at.max(at),
        }
    }
}

/// Where a message lies in the stream.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: Snowflake,
    row_start: usize,
    raw_start: usize,
    raw_end: usize,
}

/// Rows being gathered.
#[derive(Debug)]
pub struct Batch {
    rows: BytesMut,
    capacity: usize,
    summary: Summary,
    channel_id: Snowflake,
    exported_at: Option<DateTime<Utc>>,
    newest_export: Option<DateTime<Utc>>,
    places: Vec<Place>,
    /// The fields before and after those of the message, encoded.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Batch {
    /// An empty batch with room for `capacity` bytes of rows. It grows if a message needs it.
    pub fn new(origin: &Origin, capacity: usize) -> Self {
        let rows = BytesMut::with_capacity(capacity);
        let mut batch = Self {
            rows,
            capacity,
            summary: Summary::default(),
            channel_id: origin.channel_id,
            exported_at: origin.exported_at,
            newest_export: None,
            places: Vec::new(),
            head: Vec::new(),
            tail: Vec::new(),
        };
        batch.set_origin(origin);
        batch.clear();
        batch
    }

    /// Where the rows pushed from now on come from: for the next part of an export, or the next export.
    pub fn set_origin(&mut self, origin: &Origin) {
        self.channel_id = origin.channel_id;
        self.exported_at = origin.exported_at;
        self.head.clear();
        self.head.put_i16(COLUMNS);
        put_field(&mut self.head, origin.channel_id.to_string().as_bytes());
        self.tail.clear();
        put_field(&mut self.tail, origin.job_id.as_bytes());
        match origin.exported_at {
            Some(time) => put_time(&mut self.tail, time),
            None => self.tail.put_i32(NULL),
        }
    }

    /// Adds a message that took `source_bytes` of its document and needed `repairs`.
    pub fn push(
        &mut self,
        message: &Message<'_>,
        repairs: u32,
        source_bytes: u64,
    ) -> Result<(), RowTooLarge> {
        // Every other field is a part of this one and no longer, so all lengths fit.
        if message.raw.len() > MAX_RAW_BYTES {
            return Err(RowTooLarge { id: message.id, bytes: message.raw.len() });
        }
        let rows = &mut self.rows;
        let row_start = rows.len();
        rows.extend_from_slice(&self.head);
        put_id(rows, message.id);
        put_text(rows, message.author_id.as_deref());
        put_text(rows, message.author_name.as_deref());
        put_text(rows, message.content.as_deref());
        put_time(rows, message.timestamp);
        put_jsonb(rows, message.attachments);
        put_jsonb(rows, message.embeds);
        put_jsonb(rows, Some(message.raw));
        let raw_end = rows.len();
        rows.extend_from_slice(&self.tail);

        let raw_start = raw_end - message.raw.len();
        self.places.push(Place { id: message.id, row_start, raw_start, raw_end });
        self.count(message.id, message.timestamp, repairs, source_bytes);
        Ok(())
    }

    /// Counts a message that needs no row, because it is archived.
    pub fn count(&mut self, id: Snowflake, sent_at: DateTime<Utc>, repairs: u32, source_bytes: u64) {
        self.newest_export = self.newest_export.max(self.exported_at);
        let summary = &mut self.summary;
        summary.messages += 1;
        summary.bytes_read += source_bytes;
        summary.repaired_messages += u64::from(repairs > 0);
        summary.repairs += u64::from(repairs);
        let span = summary.span.map(|span| span.extended_by(id, sent_at));
        summary.span = Some(span.unwrap_or(Span::of(id, sent_at)));
    }

    /// Counts what was noticed about a message that was pushed or counted.
    pub fn note(&mut self, noticed: &Counters) {
        self.summary.counters.add(noticed);
    }

    /// What the batch holds so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.summary.messages == 0
    }

    /// Whether the rows take at least `max_bytes`.
    pub fn is_full(&self, max_bytes: usize) -> bool {
        self.rows.len() >= max_bytes
    }

    /// Ends the batch: a complete COPY stream.
    pub fn seal(mut self) -> SealedBatch {
        self.rows.put_i16(TRAILER);
        SealedBatch(self)
    }

    /// Drops the rows and keeps the buffer, but not what a giant message added to it.
    pub fn clear(&mut self) {
        self.summary = Summary::default();
        self.places.clear();
        self.newest_export = None;
        if self.rows.capacity() > self.capacity.saturating_mul(2) {
            self.rows = BytesMut::with_capacity(self.capacity);
        }
        self.rows.clear();
        self.rows.extend_from_slice(HEADER);
    }
}

/// A batch that takes no more rows. Its stream can be sent as often as the transaction has to be repeated.
#[derive(Debug)]
pub struct SealedBatch(Batch);

impl SealedBatch {
    /// The COPY stream, from signature to trailer.
    pub fn stream(&self) -> &[u8] {
        &self.0.rows
    }

    /// What the batch holds.
    pub fn summary(&self) -> &Summary {
        &self.0.summary
    }

    /// The ids of its messages, in the document's order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = Snowflake> {
        self.0.places.iter().map(|place| place.id)
    }

    /// The message at this place of the document's order, minified. Empty: there is none.
    pub fn raw(&self, index: usize) -> &str {
        let raw =
            self.0.places.get(index).map_or(&[][..], |place| &self.0.rows[place.raw_start..place.raw_end]);
        // It was text when it was pushed.
        std::str::from_utf8(raw).unwrap_or_default()
    }

    /// Who wrote the message at this place, as the row says.
    pub fn author_id(&self, index: usize) -> Option<&str> {
        let place = self.0.places.get(index)?;
        let mut row = self.0.rows.get(place.row_start..place.raw_end)?;
        row.try_get_i16().ok()?; // the number of columns
        take_field(&mut row)?; // channel_id
        take_field(&mut row)?; // message_id
        std::str::from_utf8(take_field(&mut row)?).ok()
    }

    /// A COPY stream like [`Self::stream`], of these rows alone.
    pub fn select(&self, indexes: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let (rows, places) = (&self.0.rows, &self.0.places);
        let mut stream = HEADER.to_vec();
        for index in indexes {
            let Some(place) = places.get(index) else { continue };
            let end = places.get(index + 1).map_or(rows.len() - size_of_val(&TRAILER), |next| next.row_start);
            stream.extend_from_slice(&rows[place.row_start..end]);
        }
        stream.put_i16(TRAILER);
        stream
    }

    /// When the newest of its documents was written, if any of them says so.
    pub fn newest_export(&self) -> Option<DateTime<Utc>> {
        self.0.newest_export
    }

    /// The channel that its rows are stored under.
    pub fn channel_id(&self) -> Snowflake {
        self.0.channel_id
    }

    /// An empty batch of the same origin in the same buffer.
    pub fn recycle(mut self) -> Batch {
        self.0.clear();
        self.0
    }
}

fn put_len(rows: &mut impl BufMut, len: usize) {
    // `Batch::push` lets no message pass that is longer; the constants' fields have a few bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "at most MAX_RAW_BYTES + 1"
    )]
    rows.put_i32(len as i32);
}

fn put_field(rows: &mut impl BufMut, field: &[u8]) {
    put_len(rows, field.len());
    rows.put_slice(field);
}

/// The next field of a row; `None`: it is null.
fn take_field<'a>(row: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(row.try_get_i32().ok()?).ok()?;
    row.split_off(..length)
}

fn put_text(rows: &mut impl BufMut, text: Option<&str>) {
    match text {
        Some(text) => put_field(rows, text.as_bytes()),
        None => rows.put_i32(NULL),
    }
}

fn put_jsonb(rows: &mut impl BufMut, json: Option<&str>) {
    match json {
        Some(json) => {
            put_len(rows, json.len() + 1);
            rows.put_u8(JSONB_VERSION);
            rows.put_slice(json.as_bytes());
        }
        None => rows.put_i32(NULL),
    }
}

fn put_time(rows: &mut impl BufMut, time: DateTime<Utc>) {
    put_len(rows, size_of::<i64>());
    rows.put_i64(time.timestamp_micros() - POSTGRES_EPOCH_US);
}

fn put_id(rows: &mut impl BufMut, id: Snowflake) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = id.get();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return put_field(rows, &digits[start..]);
        }
    }
}
