//! The output of an import: results on stdout, errors and progress on stderr.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::progress::ImportProgress;

/// Interval between updates of the progress line on a terminal.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);
/// Interval between progress lines without a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Returns the cursor to the beginning of the line and clears the line.
const CLEAR: &str = "\r\x1b[2K";

/// Both streams, for one writer at a time.
#[derive(Debug)]
pub(super) struct Console {
    /// On a terminal, progress is one line that is redrawn.
    is_live: bool,
    /// Whether each file gets a line of its own.
    pub(super) prints_each_file: bool,
    /// The text of the progress line; empty: no line.
    progress_line: Mutex<String>,
}

impl Console {
    pub(super) fn new() -> Self {
        let is_live = std::io::stderr().is_terminal();
        let prints_each_file = !is_live || !std::io::stdout().is_terminal();
        Self { is_live, prints_each_file, progress_line: Mutex::default() }
    }

    pub(super) fn print(&self, text: &str) {
        let line = self.lock_cleared();
        // A closed pipe has no reader; the exit code still reports the result.
        let _ = writeln!(std::io::stdout(), "{}", printable(text));
        draw(&line);
    }

    /// Prints an error or a warning.
    pub(super) fn print_error(&self, text: &str) {
        let line = self.lock_cleared();
        let _ = writeln!(std::io::stderr(), "{}", printable(text));
        draw(&line);
    }

    /// Shows the progress until the future is dropped.
    pub(super) async fn show_progress(&self, progress: &ImportProgress, started: Instant) -> Infallible {
        loop {
            tokio::time::sleep(if self.is_live { REDRAW_INTERVAL } else { LINE_INTERVAL }).await;
            let text = progress.line(started.elapsed());
            if self.is_live {
                let mut line = self.lock_cleared();
                *line = text;
                draw(&line);
            } else {
                self.print_error(&text);
            }
        }
    }

    /// Removes the progress line for good.
    pub(super) fn clear_progress(&self) {
        self.lock_cleared().clear();
    }

    fn lock_cleared(&self) -> MutexGuard<'_, String> {
        let line = self.progress_line.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.is_empty() {
            let _ = write!(std::io::stderr(), "{CLEAR}");
        }
        line
    }
}

fn draw(line: &str) {
    if !line.is_empty() {
        let _ = write!(std::io::stderr(), "{line}");
    }
}

/// Replaces control characters: names of files and channels may contain commands for a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_in_names_are_replaced() {
        assert_eq!(printable("a\x1b[2Jb\n길드"), "a\u{fffd}[2Jb\u{fffd}길드");
    }
}
