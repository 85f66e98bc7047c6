//! The columns of a message, and a row of those that were asked for.

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{Decode, Postgres, Row as _, ValueRef};
use uuid::Uuid;

use super::Position;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// The version byte before a `jsonb` in binary form.
const JSONB_VERSION: u8 = 1;

/// A column of `messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The channel or thread.
    ChannelId,
    /// The message.
    MessageId,
    /// Its author.
    AuthorId,
    /// The author's name at the export.
    AuthorName,
    /// Its text.
    Content,
    /// When it was sent.
    Timestamp,
    /// Its files, an array as DCE wrote it.
    Attachments,
    /// Its embeds, an array as DCE wrote it.
    Embeds,
    /// The whole message as DCE wrote it.
    Raw,
    /// The export that inserted it.
    JobId,
    /// When DCE wrote it.
    ExportedAt,
    /// When it was inserted.
    InsertedAt,
    /// When an export found that Discord no longer has it.
    MissingSince,
}

/// What a column holds.
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

    /// Its name, for clients as in the table.
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

/// What a row has in a column, borrowed from what the server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'r> {
    /// Nothing.
    Null,
    /// Text.
    Text(&'r str),
    /// JSON as text, without line breaks.
    Json(&'r str),
    /// A moment.
    Time(DateTime<Utc>),
    /// An export's id.
    Uuid(Uuid),
}

/// A message as it came from the server: its position, then the columns that were asked for.
#[derive(Debug)]
pub struct Row<'r> {
    row: &'r PgRow,
    columns: &'r [Column],
}

/// Columns of the position, before those that were asked for.
const POSITION: usize = 2;

impl<'r> Row<'r> {
    pub(super) const fn new(row: &'r PgRow, columns: &'r [Column]) -> Self {
        Self { row, columns }
    }

    /// Where it stands in its channel.
    pub(super) fn position(&self) -> sqlx::Result<Position> {
        let id: &str = self.row.try_get(1)?;
        let message_id: Snowflake = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Position { timestamp: self.row.try_get(0)?, message_id })
    }

    /// The columns with their values, in the order asked for.
    pub fn values(&self) -> impl Iterator<Item = Result<(Column, Value<'r>), StoreError>> + use<'r> {
        let Self { row, columns } = *self;
        columns.iter().enumerate().map(move |(index, column)| {
            let value = row.try_get_raw(index + POSITION)?;
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
