//! The way of messages into the rows of a COPY stream.

use std::borrow::Cow;

use chrono::DateTime;
use dce_core::export::warnings::Counters;
use dce_core::ids::Snowflake;
use dce_worker::ingest::batch::{Batch, COPY_COLUMNS, Origin};
use dce_worker::ingest::message::{Message, MessageError};
use dce_worker::ingest::notice::notice;
use serde_json::Value;
use uuid::Uuid;

use crate::reading::Emitted;

/// Pushes the messages into a batch, and checks that its columns say what their JSON says and that its
/// stream can be read. Gives the number of rows; messages that are refused have none.
pub fn check_rows(messages: &[Emitted]) -> usize {
    let channel_id = Snowflake::new(u64::MAX);
    let mut batch = Batch::new(&Origin { channel_id, job_id: Uuid::nil(), exported_at: None }, 256);
    let mut pushed = Vec::new();
    for Emitted { json, repairs, left_out, source_bytes } in messages {
        let parsed = Message::parse(json);
        if let Ok(value) = serde_json::from_str(json) {
            check_columns(parsed.as_ref(), &value);
        }
        if let Ok(message) = parsed {
            batch.push(&message, *repairs, *source_bytes).expect("far below the limit of a row");
            batch.note(&notice(&message, *left_out));
            pushed.push((json, message));
        }
    }
    let summary = *batch.summary();
    assert_eq!(summary.messages, pushed.len() as u64);
    assert_eq!(Counters::from_warnings(&summary.counters.warnings(summary.repaired_messages)), summary.counters);

    let sealed = batch.seal();
    let rows = rows(sealed.stream());
    assert_eq!(rows.len(), pushed.len());
    for (row, (json, message)) in rows.iter().zip(&pushed) {
        assert_eq!(row.len(), COPY_COLUMNS.split(", ").count());
        let text = |column: usize| row[column].map(|field| str::from_utf8(field).expect("text is UTF-8"));
        assert_eq!(text(0), Some(channel_id.to_string().as_str()));
        assert_eq!(text(1), Some(message.id.to_string().as_str()));
        assert_eq!((text(2), text(3)), (message.author_id.as_deref(), message.author_name.as_deref()));
        assert_eq!(text(4), message.content.as_deref());
        assert!((0..5).all(|column| !text(column).is_some_and(|text| text.contains('\0'))), "NUL in a text");
        assert_eq!(row[8].and_then(|field| field.strip_prefix(&[1])), Some(json.as_bytes()));
    }
    rows.len()
}

/// What is parsed says the same as the JSON, and what is refused is refused for a reason.
fn check_columns(parsed: Result<&Message<'_>, &MessageError>, json: &Value) {
    let id = json["id"].as_str().and_then(|id| id.parse::<Snowflake>().ok());
    let time = json["timestamp"].as_str().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let (content, author) = (&json["content"], &json["author"]);
    match parsed {
        Ok(message) => {
            let is = |column: &Option<Cow<'_, str>>, value: &Value| {
                assert!(value.is_null() || value.is_string(), "a column of another type");
                assert_eq!(column.as_deref(), value.as_str());
            };
            assert_eq!(Some(message.id), id);
            assert_eq!(Some(message.timestamp), time.map(|time| time.to_utc()));
            is(&message.content, content);
            is(&message.author_id, &author["id"]);
            is(&message.author_name, &author["name"]);
            assert!(author.is_null() || author.is_object(), "an author of another type");
            for (column, value) in [(message.attachments, "attachments"), (message.embeds, "embeds")] {
                let column = column.map_or(Value::Null, |raw| serde_json::from_str(raw).expect("JSON"));
                assert_eq!(column, json[value], "{value}");
            }
        }
        Err(MessageError::NotAnObject) => panic!("an object is no object"),
        Err(MessageError::NoId) => assert_eq!(id, None),
        Err(MessageError::Field { field, .. }) => {
            let texts = |values: &[&Value]| values.iter().all(|value| value.is_null() || value.is_string());
            let right = match *field {
                "timestamp" => time.is_some(),
                "content" => texts(&[content]),
                "author" => {
                    (author.is_null() || author.is_object()) && texts(&[&author["id"], &author["name"]])
                }
                _ => false,
            };
            assert!(!right, "`{field}` is right but refused");
        }
    }
}

type Row<'a> = Vec<Option<&'a [u8]>>;

/// The rows of a binary COPY stream:
/// <https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT>.
fn rows(stream: &[u8]) -> Vec<Row<'_>> {
    let mut rest = stream.strip_prefix(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0").expect("signature");
    let mut rows = Vec::new();
    loop {
        let columns = i16::from_be_bytes(take(&mut rest, 2).try_into().expect("two bytes"));
        if columns == -1 {
            assert!(rest.is_empty(), "something follows the trailer");
            return rows;
        }
        let field = |_| {
            let len = i32::from_be_bytes(take(&mut rest, 4).try_into().expect("four bytes"));
            assert!(len >= -1);
            usize::try_from(len).ok().map(|len| take(&mut rest, len))
        };
        rows.push((0..columns).map(field).collect());
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    rest.split_off(..len).expect("the stream ends inside a row")
}
