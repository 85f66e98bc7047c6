//! Where an import speaks: results on stdout, what went wrong and how far it is on stderr.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::progress::Progress;

/// How often the live line is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);
/// How often progress is told where nobody looks at a terminal.
const TELL: Duration = Duration::from_secs(5);
/// Back to the line's beginning, and nothing on it.
const CLEAR: &str = "\r\x1b[2K";

/// Both streams, one writer at a time.
#[derive(Debug)]
pub struct Screen {
    /// On a terminal, progress is one line that is drawn anew.
    is_live: bool,
    /// Whether each file is worth a line of its own.
    pub tells_each: bool,
    /// What the live line shows; empty: nothing.
    line: Mutex<String>,
}

impl Screen {
    /// For the streams as they are.
    pub fn new() -> Self {
        let is_live = std::io::stderr().is_terminal();
        let tells_each = !is_live || !std::io::stdout().is_terminal();
        Self { is_live, tells_each, line: Mutex::default() }
    }

    /// A result.
    pub fn tell(&self, text: &str) {
        let line = self.begin();
        // Nobody reads what a closed pipe would have taken; the exit code still tells.
        let _ = writeln!(std::io::stdout(), "{}", printable(text));
        draw(&line);
    }

    /// Something that did not go in, or deserves a look.
    pub fn warn(&self, text: &str) {
        let line = self.begin();
        let _ = writeln!(std::io::stderr(), "{}", printable(text));
        draw(&line);
    }

    /// Shows how far the import is until the future is dropped.
    pub async fn follow(&self, progress: &Progress, started: Instant) -> Infallible {
        loop {
            tokio::time::sleep(if self.is_live { REDRAW } else { TELL }).await;
            let text = progress.line(started.elapsed());
            if self.is_live {
                let mut line = self.begin();
                *line = text;
                draw(&line);
            } else {
                self.warn(&text);
            }
        }
    }

    /// Takes the live line away for good.
    pub fn end(&self) {
        self.begin().clear();
    }

    fn begin(&self) -> MutexGuard<'_, String> {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
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

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// File names and channel names may hold what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_the_terminal_as_a_command() {
        assert_eq!(printable("a\x1b[2Jb\n길드"), "a\u{fffd}[2Jb\u{fffd}길드");
    }
}
