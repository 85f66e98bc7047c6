//! Standard output and standard error. A reader that has gone away is ignored.

use std::io::{Write as _, stderr, stdout};

pub(crate) fn print_line(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Writes to stderr without a line break of its own.
pub(crate) fn print_error(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}
