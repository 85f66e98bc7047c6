//! The limits of an attempt: time without a sign of life, time in all, space on the disk.

use std::sync::Arc;
use std::time::Duration;

use dce_core::settings::ByteSize;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::dce::{Parts, Progress};
use crate::disk::{DiskGuard, Room};
use crate::outcome::Stopped;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);

/// Watches one attempt. Signs of life are growth of DCE's files and, while a filter lets nothing pass, that its progress
/// advances.
#[derive(Debug)]
pub struct Watch {
    parts: Parts,
    progress: Progress,
    stall_limit: Duration,
    ends_at: Option<Instant>,
    disk: Option<(Arc<DiskGuard>, ByteSize)>,
    size: u64,
    percent: u8,
    alive_at: Instant,
}

/// What one look found.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// `None`: the folder cannot be read, which tells nothing; the reader meets the same error and says so.
    size: Option<u64>,
    room: Room,
}

impl Watch {
    /// From now on.
    pub fn new(
        parts: Parts,
        progress: Progress,
        stall_limit: Duration,
        total_limit: Option<Duration>,
    ) -> Self {
        let now = Instant::now();
        let ends_at = total_limit.and_then(|limit| now.checked_add(limit));
        Self { parts, progress, stall_limit, ends_at, disk: None, size: 0, percent: 0, alive_at: now }
    }

    /// Also watches the disk: the file system's free space, and what the attempt's files take (`limit` of 0: as much as
    /// they like).
    #[must_use]
    pub fn with_disk(mut self, guard: Arc<DiskGuard>, limit: ByteSize) -> Self {
        self.disk = Some((guard, limit));
        self
    }

    /// Returns when a limit is reached. May be cancelled and called again.
    pub async fn alarm(&mut self) -> Stopped {
        match self.ends_at {
            Some(end) => timeout_at(end, self.look_on()).await.unwrap_or(Stopped::TimedOut),
            None => self.look_on().await,
        }
    }

    async fn look_on(&mut self) -> Stopped {
        loop {
            sleep(LOOK.min(self.stall_limit)).await;
            // A look at a disk that does not answer must not outlast the limit.
            let look = timeout(self.stall_limit, self.look()).await;
            let look = look.unwrap_or(Look { size: None, room: Room::Enough });
            if let Some(stopped) = self.judge(look, Instant::now()) {
                return stopped;
            }
        }
    }

    /// On a thread that may block: the heartbeats share the others.
    async fn look(&self) -> Look {
        let (parts, guard) = (self.parts.clone(), self.disk.as_ref().map(|(guard, _)| Arc::clone(guard)));
        let look = spawn_blocking(move || Look {
            size: parts.bytes_on_disk().ok(),
            room: guard.map_or(Room::Enough, |guard| guard.look()),
        });
        look.await.unwrap_or(Look { size: None, room: Room::Enough })
    }

    fn judge(&mut self, look: Look, now: Instant) -> Option<Stopped> {
        let percent = self.progress.percent();
        if std::mem::replace(&mut self.percent, percent) != percent {
            self.alive_at = now;
        }
        if let Some(size) = look.size {
            // A part that was deleted after its commit changes the size too: what was read is still being stored, and
            // that ends by itself when DCE writes no more.
            if std::mem::replace(&mut self.size, size) != size {
                self.alive_at = now;
            }
            if let Some((_, limit)) = self.disk
                && limit.0 > 0
                && size > limit.0
            {
                return Some(Stopped::AttemptTooLarge { size: ByteSize(size), limit });
            }
        }
        match look.room {
            Room::Low { free, least } => Some(Stopped::DiskLow { free, least }),
            _ if now - self.alive_at >= self.stall_limit => Some(Stopped::Stalled),
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

    /// Far away: a test that waits for it has failed.
    const NEVER: Duration = Duration::from_secs(600);
    /// Every alarm goes off within this or the test fails.
    const BOUND: Duration = Duration::from_secs(30);
    const OFF: ByteSize = ByteSize(0);

    fn watch(folder: &TempDir, stall_limit: Duration, total_limit: Option<Duration>) -> Watch {
        Watch::new(Parts::new(folder.path().to_owned()), Progress::default(), stall_limit, total_limit)
    }

    fn guard(folder: &Path, least: u64) -> Arc<DiskGuard> {
        Arc::new(DiskGuard::new(folder.to_owned(), ByteSize(least)))
    }

    async fn alarm(mut watch: Watch) -> Stopped {
        timeout(BOUND, watch.alarm()).await.expect("no alarm")
    }

    #[tokio::test]
    async fn each_limit_is_told_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("part.json"), [b'x'; 3000]).unwrap();
        fs::write(folder.path().join("part [part 2].json"), [b'x'; 2000]).unwrap();
        let at = folder.path();

        let large = watch(&folder, NEVER, None).with_disk(guard(at, 0), ByteSize(4999));
        let stopped = alarm(large).await;
        assert_eq!(stopped, Stopped::AttemptTooLarge { size: ByteSize(5000), limit: ByteSize(4999) });

        let full = watch(&folder, NEVER, None).with_disk(guard(at, u64::MAX), ByteSize(5000));
        assert!(matches!(alarm(full).await, Stopped::DiskLow { least: ByteSize(u64::MAX), .. }));

        let short = Duration::from_millis(50);
        assert_eq!(
            alarm(watch(&folder, NEVER, Some(short)).with_disk(guard(at, 0), OFF)).await,
            Stopped::TimedOut
        );
        assert_eq!(alarm(watch(&folder, short, None).with_disk(guard(at, 1), OFF)).await, Stopped::Stalled);
    }

    #[tokio::test]
    async fn a_time_limit_beyond_the_clock_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let watch = watch(&folder, Duration::from_millis(10), Some(Duration::MAX));
        assert_eq!(alarm(watch).await, Stopped::Stalled);
    }

    #[tokio::test]
    async fn an_output_that_grows_is_not_stalled() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part.json");
        fs::write(&part, "x").unwrap();
        let limit = Duration::from_secs(10);
        let mut watch = watch(&folder, limit, None);
        let mut now = watch.alive_at;
        for _ in 0..5 {
            OpenOptions::new().append(true).open(&part).unwrap().write_all(b"x").unwrap();
            now += limit;
            let look = watch.look().await;
            assert_eq!(watch.judge(look, now), None);
        }
        let look = watch.look().await;
        assert_eq!(watch.judge(look, now + limit), Some(Stopped::Stalled));
    }

    #[tokio::test]
    async fn a_progress_that_advances_is_life_and_one_that_repeats_itself_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let limit = Duration::from_secs(10);
        let mut watch = watch(&folder, limit, None);
        let mut now = watch.alive_at;
        for percent in [1, 2, 40] {
            watch.progress.tell(percent);
            now += limit;
            let look = watch.look().await;
            assert_eq!(watch.judge(look, now), None, "{percent} %");
        }
        watch.progress.tell(40);
        let look = watch.look().await;
        assert_eq!(watch.judge(look, now + limit), Some(Stopped::Stalled));
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_no_growth() {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new(folder.path().join("gone"));
        let mut watch = Watch::new(parts, Progress::default(), NEVER, None);
        let look = watch.look().await;
        assert_eq!(watch.judge(look, watch.alive_at + NEVER), Some(Stopped::Stalled));
    }
}
