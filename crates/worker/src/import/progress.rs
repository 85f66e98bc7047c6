//! The progress of an import and its progress line.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::format;

/// Counters, which the reading thread and the writer update.
#[derive(Debug, Default)]
pub(super) struct ImportProgress {
    pub(super) sources: usize,
    /// The size on disk of all sources.
    pub(super) stored_total: u64,
    /// Bytes read from the disk.
    pub(super) stored: Arc<AtomicU64>,
    /// Decompressed bytes of documents.
    pub(super) read: AtomicU64,
    /// Sources that have ended.
    pub(super) ended: AtomicUsize,
    /// Messages of the sources that have ended.
    pub(super) messages_before: AtomicI64,
    /// Messages of the current source.
    pub(super) messages_now: AtomicI64,
}

impl ImportProgress {
    pub(super) fn new(sources: usize, stored_total: u64) -> Self {
        Self { sources, stored_total, ..Self::default() }
    }

    /// Records the end of the current source.
    pub(super) fn end_source(&self, messages: i64) {
        self.messages_now.store(0, Ordering::Relaxed);
        self.messages_before.fetch_add(messages, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn line(&self, elapsed: Duration) -> String {
        let messages =
            self.messages_before.load(Ordering::Relaxed) + self.messages_now.load(Ordering::Relaxed);
        let mut line = format!(
            "{} of {} files, {}, {}/s",
            self.ended.load(Ordering::Relaxed),
            self.sources,
            format::messages(messages.unsigned_abs()),
            format::bytes_per_second(self.read.load(Ordering::Relaxed), elapsed),
        );
        if let Some(left) = time_left(self.stored.load(Ordering::Relaxed), self.stored_total, elapsed) {
            line.push_str(", ");
            line.push_str(&format::duration(left));
            line.push_str(" left");
        }
        line
    }
}

/// The remaining time at the average rate so far; `None` during the first second.
fn time_left(done: u64, total: u64, elapsed: Duration) -> Option<Duration> {
    if done == 0 || elapsed < Duration::from_secs(1) {
        return None;
    }
    let left_ms = elapsed.as_millis() * u128::from(total.saturating_sub(done)) / u128::from(done);
    Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_files_messages_rate_and_time_left() {
        let progress = ImportProgress::new(3, 4_000_000);
        progress.messages_now.store(1500, Ordering::Relaxed);
        progress.end_source(1_234_000);
        progress.messages_now.store(567, Ordering::Relaxed);
        progress.stored.store(1_000_000, Ordering::Relaxed);
        progress.read.store(10_000_000, Ordering::Relaxed);
        assert_eq!(
            progress.line(Duration::from_secs(4)),
            "1 of 3 files, 1,234,567 messages, 2.5 MB/s, 12 s left"
        );
        assert_eq!(ImportProgress::new(1, 10).line(Duration::ZERO), "0 of 1 files, 0 messages, 0 B/s");
    }

    #[test]
    fn the_time_left_needs_a_rate_and_is_never_negative() {
        assert_eq!(time_left(0, 10, Duration::from_secs(5)), None);
        assert_eq!(time_left(20, 10, Duration::from_secs(5)), Some(Duration::ZERO), "a file that grew");
    }
}
