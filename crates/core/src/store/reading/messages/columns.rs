//! The columns of a message, and rows with a selection of them.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{Decode, Postgres, Row as _, ValueRef};
use uuid::Uuid;

use super::query::Position;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// The version byte before a `jsonb` in binary form.
const JSONB_VERSION: u8 = 1;

/// A column of `messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    ChannelId,
    MessageId,
    AuthorId,
    /// At the time of the export.
    AuthorName,
    Content,
    Timestamp,
    /// An array as DCE wrote it.
    Attachments,
    /// An array as DCE wrote it.
    Embeds,
    /// The whole message as DCE wrote it.
    Raw,
    /// The export that inserted the message.
    JobId,
    /// The time of DCE's document.
    ExportedAt,
    InsertedAt,
    /// The time at which an export found that Discord no longer has the message.
    MissingSince,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Time,
    Uuid,
}

impl Column {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 13] = [
        Self::ChannelId,
        Self::MessageId,
        Self::AuthorId,
        Self::AuthorName,
        Self::Content,
        Self::Timestamp,
        Self::Attachments,
        Self::Embeds,
        Self::Raw,
        Self::JobId,
        Self::ExportedAt,
        Self::InsertedAt,
        Self::MissingSince,
    ];

    /// The name, for clients as in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChannelId => "channel_id",
            Self::MessageId => "message_id",
            Self::AuthorId => "author_id",
            Self::AuthorName => "author_name",
            Self::Content => "content",
            Self::Timestamp => "timestamp",
            Self::Attachments => "attachments",
            Self::Embeds => "embeds",
            Self::Raw => "raw",
            Self::JobId => "job_id",
            Self::ExportedAt => "exported_at",
            Self::InsertedAt => "inserted_at",
            Self::MissingSince => "missing_since",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::ChannelId | Self::MessageId | Self::AuthorId | Self::AuthorName | Self::Content => {
                Kind::Text
            }
            Self::Attachments | Self::Embeds | Self::Raw => Kind::Json,
            Self::Timestamp | Self::ExportedAt | Self::InsertedAt | Self::MissingSince => Kind::Time,
            Self::JobId => Kind::Uuid,
        }
    }
}

/// A value, borrowed from the row that the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'r> {
    Null,
    Text(&'r str),
    /// JSON as text, without line breaks.
    Json(&'r str),
    Time(DateTime<Utc>),
    Uuid(Uuid),
}

/// A message from the server: its position, then the selected columns.
#[derive(Debug)]
pub struct Row<'r> {
    row: &'r PgRow,
    columns: &'r [Column],
}

/// Number of columns of the position, which come before the selected ones.
const POSITION_COLUMNS: usize = 2;

impl<'r> Row<'r> {
    pub(super) const fn new(row: &'r PgRow, columns: &'r [Column]) -> Self {
        Self { row, columns }
    }

    pub(super) fn position(&self) -> sqlx::Result<Position> {
        let id: &str = self.row.try_get(1)?;
        let message_id: Snowflake = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Position { timestamp: self.row.try_get(0)?, message_id })
    }

    /// The selected columns with their values, in order.
    pub fn values(&self) -> impl Iterator<Item = Result<(Column, Value<'r>), StoreError>> + use<'r> {
        let Self { row, columns } = *self;
        columns.iter().enumerate().map(move |(index, column)| {
            let value = row.try_get_raw(index + POSITION_COLUMNS)?;
            Ok((*column, read(*column, value).map_err(sqlx::Error::Decode)?))
        })
    }
}

fn read(column: Column, value: PgValueRef<'_>) -> Result<Value<'_>, sqlx::error::BoxDynError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    Ok(match column.kind() {
        Kind::Text => Value::Text(value.as_str()?),
        Kind::Json => {
            let bytes = value.as_bytes()?;
            let json = bytes.strip_prefix(&[JSONB_VERSION]).ok_or("a jsonb of an unknown version")?;
            Value::Json(std::str::from_utf8(json)?)
        }
        Kind::Time => Value::Time(<DateTime<Utc> as Decode<Postgres>>::decode(value)?),
        Kind::Uuid => Value::Uuid(<Uuid as Decode<Postgres>>::decode(value)?),
    })
}
