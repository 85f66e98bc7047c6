//! Messages as lines of CSV (RFC 4180).

use dce_core::store::StoreError;
use dce_core::store::reading::messages::{Column, Row, Value};
use serde::Serialize;

use super::serialize;

/// Appends the line with the columns' names.
pub fn append_header(out: &mut Vec<u8>, columns: &[Column]) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(column.name().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a line. Missing values are empty; JSON is text.
pub fn append_line(out: &mut Vec<u8>, row: &Row<'_>) -> Result<(), StoreError> {
    for (index, value) in row.values().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match value?.1 {
            Value::Null => {}
            Value::Text(text) | Value::Json(text) => cell(out, text),
            Value::Time(time) => unquoted(out, &time),
            Value::Uuid(id) => unquoted(out, &id),
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends a cell. Text that a spreadsheet would run as a formula is prefixed with an apostrophe.
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

/// Appends a time or an id, which need no quotes in CSV.
fn unquoted(out: &mut Vec<u8>, value: &impl Serialize) {
    let start = out.len();
    serialize(out, value);
    out.pop();
    out.remove(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = Vec::new();
        cell(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_only_where_necessary() {
        for (text, expected) in [
            ("", ""),
            ("plain 길 😀", "plain 길 😀"),
            ("a,b", "\"a,b\""),
            ("a\"b\"", "\"a\"\"b\"\"\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a\r\nb", "\"a\r\nb\""),
        ] {
            assert_eq!(encoded(text), expected, "{text:?}");
        }
    }

    #[test]
    fn formulas_are_made_harmless() {
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
            assert_eq!(encoded(text), expected, "{text:?}");
        }
    }
}
