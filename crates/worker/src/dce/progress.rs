//! Parses DCE's progress from stdout: `Category / channel: 25%`, by the time of the downloaded messages. DCE checks
//! once a second, prints at some percentages, and repeats the current one after 30 s without progress (DCE 2.47:
//! docs/dce.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Longer lines are not progress: DCE breaks its lines after 80 columns.
const MAX_LINE_BYTES: usize = 1024;

/// The highest percentage that a process has reported.
#[derive(Debug, Clone, Default)]
pub struct DceProgress(Arc<AtomicU8>);

impl DceProgress {
    /// 0 to 100; 0 also if nothing was reported. An idle process repeats its percentage. The highest one only grows, up
    /// to 100, so it cannot keep a stalled process alive for ever.
    pub fn percent(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn report(&self, percent: u8) {
        self.0.fetch_max(percent, Ordering::Relaxed);
    }
}

/// Splits stdout into lines, in constant memory.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Returns the highest percentage on the lines that end in `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<u8> {
        let mut highest = None;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line.len() + piece.len() > MAX_LINE_BYTES {
                self.too_long = true;
            } else {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let percent = percentage(&self.line).filter(|_| !self.too_long);
                highest = highest.max(percent);
                *self = Self::default();
            }
        }
        highest
    }
}

/// Parses `name: 25%`, or `25%` alone, which stands on its own line after a long name. Names may contain anything, even
/// a percentage.
fn percentage(line: &[u8]) -> Option<u8> {
    let text = line.trim_ascii().strip_suffix(b"%")?;
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, number) = text.split_at(text.len() - digits);
    let number = str::from_utf8(number).ok()?.parse().ok()?;
    ((name.is_empty() || name.ends_with(b": ")) && number <= 100).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reported percentage after each piece of stdout.
    fn reported(pieces: &[&str]) -> Vec<u8> {
        let (mut lines, progress) = (Lines::default(), DceProgress::default());
        let push = |piece: &&str| {
            lines.push(piece.as_bytes()).into_iter().for_each(|percent| progress.report(percent));
            progress.percent()
        };
        pieces.iter().map(push).collect()
    }

    #[test]
    fn only_a_higher_percentage_changes_the_progress() {
        let recorded = ["Resolving channel(s)...\n", "Exporting 1 channel(s)...\n", "stalls: 0%\n"];
        assert_eq!(reported(&recorded), [0, 0, 0]);
        assert_eq!(
            reported(&["stalls: 9%\n", "stalls: 9%\n", "stalls: 12%\n", "stalls: 9%\n"]),
            [9, 9, 12, 12]
        );
        assert_eq!(reported(&["카테고리 / 일반: 72%\r\n"]), [72]);
    }

    #[test]
    fn lines_may_arrive_in_any_pieces() {
        assert_eq!(reported(&["a / b: 1", "", "2", "%", "\nc: 34%\na / b: 2%\n"]), [0, 0, 0, 0, 34]);
    }

    #[test]
    fn a_percentage_in_a_name_is_not_progress() {
        let broken = ["the name of a channel that is 100%\n", "of the line: 8%\n", "100% / b:\n", " 9%\n"];
        assert_eq!(reported(&broken), [0, 8, 8, 9]);
        for line in ["%\n", ": %\n", "a: 101%\n", "a: 300%\n", "a: -1%\n", "a: 1%%\n", "a: 1% b\n", "a:1%\n"]
        {
            assert_eq!(reported(&[line]), [0], "{line}");
        }
    }

    #[test]
    fn an_endless_line_uses_constant_memory_and_the_next_line_is_parsed() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.push(&[b'x'; 700]), None);
            assert!(lines.line.capacity() <= 2 * MAX_LINE_BYTES);
        }
        assert_eq!(lines.push(b": 5%\n"), None);
        assert_eq!(lines.push(b"a: 6%\n"), Some(6));
    }
}
