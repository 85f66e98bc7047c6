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

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Time,
    Uuid,
}

/// Declares the columns in the order of the table, with their names there and in the API.
macro_rules! columns {
    ($($(#[$doc:meta])* $column:ident = $name:literal: $kind:ident,)*) => {
        /// A column of `messages`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Column { $($(#[$doc])* $column,)* }

        impl Column {
            pub const ALL: [Self; [$(Self::$column,)*].len()] = [$(Self::$column,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$column => $name,)* }
            }

            const fn kind(self) -> Kind {
                match self { $(Self::$column => Kind::$kind,)* }
            }
        }
    };
}

columns! {
    ChannelId = "channel_id": Text,
    MessageId = "message_id": Text,
    AuthorId = "author_id": Text,
    /// At the time of the export.
    AuthorName = "author_name": Text,
    Content = "content": Text,
    Timestamp = "timestamp": Time,
    /// An array as DCE wrote it.
    Attachments = "attachments": Json,
    /// An array as DCE wrote it.
    Embeds = "embeds": Json,
    /// The whole message as DCE wrote it.
    Raw = "raw": Json,
    /// The export that inserted the message.
    JobId = "job_id": Uuid,
    /// The time of DCE's document.
    ExportedAt = "exported_at": Time,
    InsertedAt = "inserted_at": Time,
    /// The time at which an export found that Discord no longer has the message.
    MissingSince = "missing_since": Time,
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

    /// The JSON of a column that was selected after the others.
    pub(super) fn json_after_columns(&self) -> Result<&'r str, StoreError> {
        let value = self.row.try_get_raw(POSITION_COLUMNS + self.columns.len())?;
        match read(Column::Raw, value).map_err(sqlx::Error::Decode)? {
            Value::Json(json) => Ok(json),
            _ => Ok(""),
        }
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
