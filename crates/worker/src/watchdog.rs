//! Watchdog of an attempt: stall time, total time and disk space.

use std::sync::Arc;
use std::time::Duration;

use dce_core::settings::ByteSize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::attempt_outcome::StopReason;
use crate::dce::{DceProgress, Parts};
use crate::disk_space::{DiskMonitor, DiskSpace};

/// Pause between two checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Watches one attempt. An attempt is alive if DCE's files grow or if DCE's progress advances.
#[derive(Debug)]
pub struct Watchdog {
    parts: Parts,
    progress: DceProgress,
    stall_limit: Duration,
    ends_at: Option<Instant>,
    disk: Option<(Arc<DiskMonitor>, ByteSize)>,
    size: u64,
    percent: u8,
    alive_at: Instant,
}

/// One measurement of the disk.
#[derive(Debug, Clone, Copy)]
struct DiskUsage {
    /// `None`: the folder cannot be read. That proves nothing; the reader meets the same error and reports it.
    size: Option<u64>,
    space: DiskSpace,
}

impl DiskUsage {
    const UNKNOWN: Self = Self { size: None, space: DiskSpace::Enough };
}

impl Watchdog {
    /// Starts the clocks of both time limits.
    pub fn new(
        parts: Parts,
        progress: DceProgress,
        stall_limit: Duration,
        total_limit: Option<Duration>,
    ) -> Self {
        let now = Instant::now();
        let ends_at = total_limit.and_then(|limit| now.checked_add(limit));
        Self { parts, progress, stall_limit, ends_at, disk: None, size: 0, percent: 0, alive_at: now }
    }

    /// Adds two limits: the file system's free space, and the size of the attempt's files (`limit` of 0: unlimited).
    #[must_use]
    pub fn with_disk(mut self, monitor: Arc<DiskMonitor>, limit: ByteSize) -> Self {
        self.disk = Some((monitor, limit));
        self
    }

    /// Returns when a limit is reached. Cancel-safe.
    pub async fn limit_reached(&mut self) -> StopReason {
        match self.ends_at {
            Some(end) => timeout_at(end, self.check_repeatedly()).await.unwrap_or(StopReason::TimedOut),
            None => self.check_repeatedly().await,
        }
    }

    async fn check_repeatedly(&mut self) -> StopReason {
        loop {
            sleep(CHECK_INTERVAL.min(self.stall_limit)).await;
            // A measurement of a disk that does not answer must not outlast the limit.
            let usage = timeout(self.stall_limit, self.measure()).await.unwrap_or(DiskUsage::UNKNOWN);
            if let Some(reason) = self.check(usage, Instant::now()) {
                return reason;
            }
        }
    }

    /// Measures on a thread that may block: the heartbeat shares the other threads.
    async fn measure(&self) -> DiskUsage {
        let (parts, monitor) =
            (self.parts.clone(), self.disk.as_ref().map(|(monitor, _)| Arc::clone(monitor)));
        let usage = spawn_blocking(move || DiskUsage {
            size: parts.bytes_on_disk().ok(),
            space: monitor.map_or(DiskSpace::Enough, |monitor| monitor.check()),
        });
        usage.await.unwrap_or(DiskUsage::UNKNOWN)
    }

    fn check(&mut self, usage: DiskUsage, now: Instant) -> Option<StopReason> {
        let percent = self.progress.percent();
        if std::mem::replace(&mut self.percent, percent) != percent {
            self.alive_at = now;
        }
        if let Some(size) = usage.size {
            // Deleting a committed part changes the size too: its messages were still being stored. That ends by itself
            // when DCE writes no more.
            if std::mem::replace(&mut self.size, size) != size {
                self.alive_at = now;
            }
            if let Some((_, limit)) = self.disk
                && limit.0 > 0
                && size > limit.0
            {
                return Some(StopReason::AttemptTooLarge { size: ByteSize(size), limit });
            }
        }
        match usage.space {
            DiskSpace::Low { free, least } => Some(StopReason::DiskLow { free, least }),
            _ if now - self.alive_at >= self.stall_limit => Some(StopReason::Stalled),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;

    /// Longer than any test may take.
    const NEVER: Duration = Duration::from_secs(600);
    /// Time allowed until a limit is reached.
    const BOUND: Duration = Duration::from_secs(30);
    const OFF: ByteSize = ByteSize(0);

    fn watchdog(folder: &TempDir, stall_limit: Duration, total_limit: Option<Duration>) -> Watchdog {
        Watchdog::new(Parts::new(folder.path().to_owned()), DceProgress::default(), stall_limit, total_limit)
    }

    fn monitor(folder: &Path, least: u64) -> Arc<DiskMonitor> {
        Arc::new(DiskMonitor::new(folder.to_owned(), ByteSize(least)))
    }

    async fn limit_reached(mut watchdog: Watchdog) -> StopReason {
        timeout(BOUND, watchdog.limit_reached()).await.expect("no limit was reached")
    }

    #[tokio::test]
    async fn each_limit_stops_the_attempt_with_its_own_reason() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("part.json"), [b'x'; 3000]).unwrap();
        fs::write(folder.path().join("part [part 2].json"), [b'x'; 2000]).unwrap();
        let at = folder.path();

        let large = watchdog(&folder, NEVER, None).with_disk(monitor(at, 0), ByteSize(4999));
        let stopped = limit_reached(large).await;
        assert_eq!(stopped, StopReason::AttemptTooLarge { size: ByteSize(5000), limit: ByteSize(4999) });

        let full = watchdog(&folder, NEVER, None).with_disk(monitor(at, u64::MAX), ByteSize(5000));
        assert!(matches!(limit_reached(full).await, StopReason::DiskLow { least: ByteSize(u64::MAX), .. }));

        let short = Duration::from_millis(50);
        assert_eq!(
            limit_reached(watchdog(&folder, NEVER, Some(short)).with_disk(monitor(at, 0), OFF)).await,
            StopReason::TimedOut
        );
        assert_eq!(
            limit_reached(watchdog(&folder, short, None).with_disk(monitor(at, 1), OFF)).await,
            StopReason::Stalled
        );
    }

    #[tokio::test]
    async fn a_time_limit_beyond_the_clock_is_no_limit() {
        let folder = tempfile::tempdir().unwrap();
        let watchdog = watchdog(&folder, Duration::from_millis(10), Some(Duration::MAX));
        assert_eq!(limit_reached(watchdog).await, StopReason::Stalled);
    }

    #[tokio::test]
    async fn a_growing_output_is_not_stalled() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part.json");
        fs::write(&part, "x").unwrap();
        let limit = Duration::from_secs(10);
        let mut watchdog = watchdog(&folder, limit, None);
        let mut now = watchdog.alive_at;
        for _ in 0..5 {
            OpenOptions::new().append(true).open(&part).unwrap().write_all(b"x").unwrap();
            now += limit;
            let usage = watchdog.measure().await;
            assert_eq!(watchdog.check(usage, now), None);
        }
        let usage = watchdog.measure().await;
        assert_eq!(watchdog.check(usage, now + limit), Some(StopReason::Stalled));
    }

    #[tokio::test]
    async fn advancing_progress_prevents_a_stall_and_repeated_progress_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let limit = Duration::from_secs(10);
        let mut watchdog = watchdog(&folder, limit, None);
        let mut now = watchdog.alive_at;
        for percent in [1, 2, 40] {
            watchdog.progress.report(percent);
            now += limit;
            let usage = watchdog.measure().await;
            assert_eq!(watchdog.check(usage, now), None, "{percent} %");
        }
        watchdog.progress.report(40);
        let usage = watchdog.measure().await;
        assert_eq!(watchdog.check(usage, now + limit), Some(StopReason::Stalled));
    }

    #[tokio::test]
    async fn a_missing_folder_does_not_count_as_growth() {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(folder.path().join("gone"));
        let mut watchdog = Watchdog::new(parts, DceProgress::default(), NEVER, None);
        let usage = watchdog.measure().await;
        assert_eq!(watchdog.check(usage, watchdog.alive_at + NEVER), Some(StopReason::Stalled));
    }
}
