//! Messages as JSON objects.

use dce_core::store::StoreError;
use dce_core::store::reading::messages::{Row, Value};

use super::serialize;

/// Space reserved after a message's last value, in bytes.
const ENDING: usize = 64;

/// Appends an object with the row's columns, without a line break in it.
pub fn append(out: &mut Vec<u8>, row: &Row<'_>) -> Result<(), StoreError> {
    let mut separator = b'{';
    for value in row.values() {
        let (column, value) = value?;
        out.push(separator);
        separator = b',';
        out.push(b'"');
        out.extend_from_slice(column.name().as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Json(json) => {
                // Includes space for the end of the object: otherwise that would reallocate, and double, a giant message.
                out.reserve(json.len() + ENDING);
                out.extend_from_slice(json.as_bytes());
            }
            Value::Text(text) => serialize(out, text),
            Value::Time(time) => serialize(out, &time),
            Value::Uuid(id) => serialize(out, &id),
        }
    }
    if separator == b'{' {
        out.push(separator);
    }
    out.push(b'}');
    Ok(())
}

/// Appends the object and a line break (NDJSON).
pub fn append_line(out: &mut Vec<u8>, row: &Row<'_>) -> Result<(), StoreError> {
    append(out, row)?;
    out.push(b'\n');
    Ok(())
}
