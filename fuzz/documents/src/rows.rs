//! Checks the rows that messages become in a COPY stream.

use std::borrow::Cow;

use chrono::DateTime;
use dce_ingest::copy::batch::{Batch, COLUMNS, Origin};
use dce_ingest::message::columns::{Message, MessageError};
use dce_ingest::message::quality::Quality;
use dce_snowflake::Snowflake;
use serde_json::Value;
use uuid::Uuid;

use crate::reading::EmittedMessage;

/// Pushes the messages into a batch. Checks that the columns agree with the messages' JSON, that the summary counts the
/// messages, and that the stream is valid. Returns the number of rows; a refused message has none.
pub fn check_rows(messages: &[EmittedMessage]) -> usize {
    let channel_id = Snowflake::new(u64::MAX);
    let mut batch = Batch::new(&Origin { channel_id, job_id: Uuid::nil(), exported_at: None }, 256);
    let mut pushed = Vec::new();
    for emitted in messages {
        let parsed = Message::parse(&emitted.json);
        if let Ok(value) = serde_json::from_str(&emitted.json) {
            check_columns(parsed.as_ref(), &value);
        }
        if let Ok(message) = parsed {
            let EmittedMessage { repairs, dropped_users, source_bytes, .. } = *emitted;
            batch.push(&message, repairs, dropped_users, source_bytes).expect("far below the limit of a row");
            pushed.push((emitted, message));
        }
    }
    check_summary(&batch, &pushed);

    let sealed = batch.seal();
    let rows = rows(sealed.stream());
    assert_eq!(rows.len(), pushed.len());
    for (row, (emitted, message)) in rows.iter().zip(&pushed) {
        assert_eq!(row.len(), COLUMNS.split(", ").count());
        let text = |column: usize| row[column].map(|field| str::from_utf8(field).expect("text is UTF-8"));
        assert_eq!(text(0), Some(channel_id.to_string().as_str()));
        assert_eq!(text(1), Some(message.id.to_string().as_str()));
        assert_eq!((text(2), text(3)), (message.author_id.as_deref(), message.author_name.as_deref()));
        assert_eq!(text(4), message.content.as_deref());
        assert!((0..5).all(|column| !text(column).is_some_and(|text| text.contains('\0'))), "NUL in a text");
        assert_eq!(row[8].and_then(|field| field.strip_prefix(&[1])), Some(emitted.json.as_bytes()));
    }
    rows.len()
}

/// Checks the counts of the batch against the messages, one by one.
fn check_summary(batch: &Batch, pushed: &[(&EmittedMessage, Message<'_>)]) {
    let summary = batch.summary();
    let emitted = || pushed.iter().map(|(emitted, _)| emitted);
    assert_eq!(summary.messages, pushed.len() as u64);
    assert_eq!(summary.bytes_read, emitted().map(|message| message.source_bytes).sum::<u64>());
    assert_eq!(summary.repairs, emitted().map(|message| u64::from(message.repairs)).sum::<u64>());
    assert_eq!(summary.repaired_messages, emitted().filter(|message| message.repairs > 0).count() as u64);

    let Quality { blank, reactions_short, reaction_users_missing, shortened, users_dropped } =
        &summary.quality;
    assert!(*blank <= summary.messages && *reactions_short <= summary.messages);
    assert_eq!(*reactions_short > 0, *reaction_users_missing > 0);
    assert_eq!(*users_dropped, emitted().map(|message| message.dropped_users).sum::<u64>());
    let with_dropped_users = pushed.iter().filter(|(emitted, _)| emitted.dropped_users > 0);
    assert!(with_dropped_users.map(|(_, message)| message.id).eq(shortened.iter().copied()));
}

/// The columns of a parsed message agree with its JSON, and a refused message has the mistake that the error names.
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
        Err(MessageError::NotAnObject) => panic!("an object is refused as something else"),
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
