//! Encodes rows in PostgreSQL's binary COPY format:
//! <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>.

use bytes::{Buf, BufMut, BytesMut};
use chrono::{DateTime, Utc};
use dce_snowflake::Snowflake;
use uuid::Uuid;

use crate::message::columns::Message;

/// The columns of a row, in the order of its fields.
pub const COLUMNS: &str = r#"channel_id, message_id, author_id, author_name, content, "timestamp", attachments, embeds, raw, job_id, exported_at"#;
const COLUMN_COUNT: i16 = 11;

/// Signature, no flags, no header extension.
pub(crate) const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub(crate) const TRAILER: i16 = -1;
const NULL: i32 = -1;
const JSONB_VERSION: u8 = 1;

/// 2000-01-01T00:00:00Z, Postgres's epoch, in microseconds since 1970.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// The values that all rows of one document share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The channel or thread under which the messages are stored.
    pub channel_id: Snowflake,
    /// The export that inserts the messages.
    pub job_id: Uuid,
    /// When DCE wrote the document.
    pub exported_at: Option<DateTime<Utc>>,
}

/// The fields that all rows of one origin share, encoded once.
#[derive(Debug, Default)]
pub(crate) struct SharedFields {
    /// Before the message's fields.
    before: Vec<u8>,
    /// Behind them.
    after: Vec<u8>,
}

impl SharedFields {
    pub(crate) fn set(&mut self, origin: &Origin) {
        self.before.clear();
        self.before.put_i16(COLUMN_COUNT);
        put_field(&mut self.before, origin.channel_id.to_string().as_bytes());
        self.after.clear();
        put_field(&mut self.after, origin.job_id.as_bytes());
        match origin.exported_at {
            Some(time) => put_time(&mut self.after, time),
            None => self.after.put_i32(NULL),
        }
    }
}

/// Appends the row of a message. Returns the position behind its field `raw`.
pub(crate) fn put_row(rows: &mut BytesMut, shared: &SharedFields, message: &Message<'_>) -> usize {
    rows.put_slice(&shared.before);
    put_id(rows, message.id);
    put_text(rows, message.author_id.as_deref());
    put_text(rows, message.author_name.as_deref());
    put_text(rows, message.content.as_deref());
    put_time(rows, message.timestamp);
    put_jsonb(rows, message.attachments);
    put_jsonb(rows, message.embeds);
    put_jsonb(rows, Some(message.raw));
    let raw_end = rows.len();
    rows.put_slice(&shared.after);
    raw_end
}

/// The author's id in an encoded row.
pub(crate) fn author_id(mut row: &[u8]) -> Option<&str> {
    row.try_get_i16().ok()?; // the number of columns
    take_field(&mut row)?; // channel_id
    take_field(&mut row)?; // message_id
    std::str::from_utf8(take_field(&mut row)?).ok()
}

fn put_len(rows: &mut impl BufMut, len: usize) {
    // `Batch::push` refuses longer messages, and every other field is shorter.
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

/// The next field of a row; `None`: null.
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
