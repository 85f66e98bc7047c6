//! How far an import is, and how that reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dce_core::settings::ByteSize;

/// Counted by whoever reads and writes.
#[derive(Debug, Default)]
pub struct Progress {
    /// Sources there are.
    pub sources: usize,
    /// Bytes that they take on the disk.
    pub stored_total: u64,
    /// Bytes read from the disk.
    pub stored: Arc<AtomicU64>,
    /// Bytes of documents, unpacked.
    pub read: AtomicU64,
    /// Sources that have ended.
    pub ended: AtomicUsize,
    /// Messages of those.
    pub messages_before: AtomicI64,
    /// Messages of the present one.
    pub messages_now: AtomicI64,
}

impl Progress {
    /// Of an import that begins.
    pub fn of(sources: usize, stored_total: u64) -> Self {
        Self { sources, stored_total, ..Self::default() }
    }

    /// The present source has ended with so many messages.
    pub fn end_source(&self, messages: i64) {
        self.messages_now.store(0, Ordering::Relaxed);
        self.messages_before.fetch_add(messages, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// One line.
    pub fn line(&self, elapsed: Duration) -> String {
        let messages =
            self.messages_before.load(Ordering::Relaxed) + self.messages_now.load(Ordering::Relaxed);
        let mut line = format!(
            "{} of {} files, {}, {}/s",
            self.ended.load(Ordering::Relaxed),
            self.sources,
            messages_in_words(messages.unsigned_abs()),
            per_second(self.read.load(Ordering::Relaxed), elapsed),
        );
        if let Some(left) = time_left(self.stored.load(Ordering::Relaxed), self.stored_total, elapsed) {
            line.push_str(", ");
            line.push_str(&span(left));
            line.push_str(" left");
        }
        line
    }
}

/// So many bytes in so long.
pub fn per_second(bytes: u64, elapsed: Duration) -> ByteSize {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    ByteSize(u64::try_from(u128::from(bytes) * 1000 / u128::from(ms)).unwrap_or(u64::MAX))
}

/// At the pace so far; `None` while there is no pace yet.
fn time_left(done: u64, total: u64, elapsed: Duration) -> Option<Duration> {
    if done == 0 || elapsed < Duration::from_secs(1) {
        return None;
    }
    let left_ms = elapsed.as_millis() * u128::from(total.saturating_sub(done)) / u128::from(done);
    Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(u64::MAX)))
}

/// A time span in at most two units.
pub fn span(span: Duration) -> String {
    let seconds = span.saturating_add(Duration::from_millis(500)).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// So many messages.
pub fn messages_in_words(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "message" } else { "messages" })
}

/// With a comma every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_files_messages_pace_and_what_is_left() {
        let progress = Progress::of(3, 4_000_000);
        progress.messages_now.store(1500, Ordering::Relaxed);
        progress.end_source(1_234_000);
        progress.messages_now.store(567, Ordering::Relaxed);
        progress.stored.store(1_000_000, Ordering::Relaxed);
        progress.read.store(10_000_000, Ordering::Relaxed);
        assert_eq!(
            progress.line(Duration::from_secs(4)),
            "1 of 3 files, 1,234,567 messages, 2.5 MB/s, 12 s left"
        );
        assert_eq!(Progress::of(1, 10).line(Duration::ZERO), "0 of 1 files, 0 messages, 0 B/s");
    }

    #[test]
    fn numbers_and_spans_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.2, 59.0, 61.0, 3_700.0].map(|seconds| span(Duration::from_secs_f64(seconds))),
            ["0 s", "59 s", "1 min 1 s", "1 h 1 min"]
        );
        assert_eq!(time_left(0, 10, Duration::from_secs(5)), None);
        assert_eq!(time_left(20, 10, Duration::from_secs(5)), Some(Duration::ZERO), "a file that grew");
    }
}
