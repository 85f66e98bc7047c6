//! The progress of the export; on a terminal one line that is overwritten.

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use crate::api::Export;

/// Time between lines where they cannot be overwritten.
const LINE_EVERY: Duration = Duration::from_secs(1);

pub(super) struct ProgressLine {
    overwrites: bool,
    shown: Option<(String, Instant)>,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self { overwrites: stdout().is_terminal(), shown: None }
    }

    /// Shows `export`: its last state always, other states once a second.
    pub(super) fn show(&mut self, export: &Export) {
        let line = line(export);
        if self.overwrites {
            print!("\r\x1b[K{line}{}", if export.has_ended() { "\n" } else { "" });
            let _ = stdout().flush(); // a lost progress line is no reason to fail
        } else {
            let is_due =
                self.shown.as_ref().is_none_or(|(last, at)| *last != line && at.elapsed() >= LINE_EVERY);
            if is_due || export.has_ended() {
                println!("{line}");
                self.shown = Some((line, Instant::now()));
            }
        }
    }
}

fn line(export: &Export) -> String {
    let Export { status, message_count, inserted_count, duration_ms, .. } = export;
    let time = duration_ms.map_or_else(String::new, |ms| format!(" in {ms} ms"));
    format!("  {status}: {message_count} messages read, {inserted_count} new in the archive{time}")
}
