//! Messages as text: objects of JSON, or lines of CSV. Values are appended as they come from the server; nothing is kept.

use dce_core::store::StoreError;
use dce_core::store::reading::messages::{Column, Row, Value};
use serde::Serialize;

/// Bytes that may follow the last value of a message.
const ENDING: usize = 64;

/// Appends an object with the row's columns, without a line break in it.
pub fn json(out: &mut Vec<u8>, row: &Row<'_>) -> Result<(), StoreError> {
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
                // With room for what ends the object: a giant would be moved, and its room doubled, for that.
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

/// Appends the line with the names of the columns.
pub fn csv_header(out: &mut Vec<u8>, columns: &[Column]) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(column.name().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a line of CSV (RFC 4180). What is not there is empty; JSON is text.
pub fn csv(out: &mut Vec<u8>, row: &Row<'_>) -> Result<(), StoreError> {
    for (index, value) in row.values().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match value?.1 {
            Value::Null => {}
            Value::Text(text) | Value::Json(text) => cell(out, text),
            Value::Time(time) => bare(out, &time),
            Value::Uuid(id) => bare(out, &id),
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// A cell. An apostrophe stands before what a spreadsheet would take for a formula and run.
fn cell(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let is_formula = matches!(bytes.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
    let is_quoted = bytes.iter().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n'));
    if is_quoted {
        out.push(b'"');
    }
    if is_formula {
        out.push(b'\'');
    }
    if is_quoted {
        let mut parts = bytes.split(|byte| *byte == b'"');
        out.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            out.extend_from_slice(b"\"\"");
            out.extend_from_slice(part);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(bytes);
    }
}

fn serialize(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value); // texts, times and ids can be written, and a Vec takes everything
}

/// Times and ids need no quotes in CSV.
fn bare(out: &mut Vec<u8>, value: &impl Serialize) {
    let start = out.len();
    serialize(out, value);
    out.pop();
    out.remove(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let mut out = Vec::new();
        cell(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        for (text, expected) in [
            ("", ""),
            ("plain 길 😀", "plain 길 😀"),
            ("a,b", "\"a,b\""),
            ("a\"b\"", "\"a\"\"b\"\"\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a\r\nb", "\"a\r\nb\""),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
    }

    #[test]
    fn no_spreadsheet_runs_a_cell() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("a=1", "a=1"),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
    }
}
