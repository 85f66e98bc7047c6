//! How far DCE says it is: `Category / channel: 25%`, by the time of the messages it has downloaded, on stdout. It looks
//! each second, prints at some percentages, and repeats the present one after 30 s without news (DCE 2.47: docs/dce.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Longer lines are no progress: DCE breaks its lines after 80 columns.
const LINE_BYTES: usize = 1024;

/// The highest percentage that a process has told.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU8>);

impl Progress {
    /// 0 to 100; 0 also if it has told none. A process that does nothing tells the same again and again, and what only
    /// grows cannot be taken for life for ever.
    pub fn percent(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, percent: u8) {
        self.0.fetch_max(percent, Ordering::Relaxed);
    }
}

/// Takes stdout apart, in constant memory.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// The highest percentage on the lines that end in `bytes`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<u8> {
        let mut highest = None;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.line.len() + piece.len() > LINE_BYTES {
                self.too_long = true;
            } else {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let told = percentage(&self.line).filter(|_| !self.too_long);
                highest = highest.max(told);
                *self = Self::default();
            }
        }
        highest
    }
}

/// Of `name: 25%`, or of `25%` alone, which a long name leaves to the next line. Names may hold anything, a percentage too.
fn percentage(line: &[u8]) -> Option<u8> {
    let told = line.trim_ascii().strip_suffix(b"%")?;
    let digits = told.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, number) = told.split_at(told.len() - digits);
    let number = str::from_utf8(number).ok()?.parse().ok()?;
    ((name.is_empty() || name.ends_with(b": ")) && number <= 100).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after each piece of stdout.
    fn told(pieces: &[&str]) -> Vec<u8> {
        let (mut lines, progress) = (Lines::default(), Progress::default());
        let tell = |piece: &&str| {
            lines.push(piece.as_bytes()).into_iter().for_each(|percent| progress.tell(percent));
            progress.percent()
        };
        pieces.iter().map(tell).collect()
    }

    #[test]
    fn only_a_higher_percentage_is_news() {
        let recorded = ["Resolving channel(s)...\n", "Exporting 1 channel(s)...\n", "stalls: 0%\n"];
        assert_eq!(told(&recorded), [0, 0, 0]);
        assert_eq!(told(&["stalls: 9%\n", "stalls: 9%\n", "stalls: 12%\n", "stalls: 9%\n"]), [9, 9, 12, 12]);
        assert_eq!(told(&["카테고리 / 일반: 72%\r\n"]), [72]);
    }

    #[test]
    fn lines_come_in_any_pieces() {
        assert_eq!(told(&["a / b: 1", "", "2", "%", "\nc: 34%\na / b: 2%\n"]), [0, 0, 0, 0, 34]);
    }

    #[test]
    fn a_name_is_no_progress() {
        let broken = ["the name of a channel that is 100%\n", "of the line: 8%\n", "100% / b:\n", " 9%\n"];
        assert_eq!(told(&broken), [0, 8, 8, 9]);
        for line in ["%\n", ": %\n", "a: 101%\n", "a: 300%\n", "a: -1%\n", "a: 1%%\n", "a: 1% b\n", "a:1%\n"]
        {
            assert_eq!(told(&[line]), [0], "{line}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_hides_none_after_it() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.push(&[b'x'; 700]), None);
            assert!(lines.line.capacity() <= 2 * LINE_BYTES);
        }
        assert_eq!(lines.push(b": 5%\n"), None);
        assert_eq!(lines.push(b"a: 6%\n"), Some(6));
    }
}
