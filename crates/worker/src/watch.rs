//! The limits of an attempt: time without growth of DCE's output, time in all.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::dce::Parts;
use crate::outcome::Stopped;

/// How often the output's size is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Watches one attempt. DCE's stdout is no sign of life, it repeats itself while nothing happens (DCE 2.47: docs/dce.md);
/// growth of its files is.
#[derive(Debug)]
pub struct Watch {
    parts: Parts,
    stall_limit: Duration,
    ends_at: Option<Instant>,
    size: u64,
    grown_at: Instant,
}

impl Watch {
    /// From now on.
    pub fn new(parts: Parts, stall_limit: Duration, total_limit: Option<Duration>) -> Self {
        let now = Instant::now();
        Self { parts, stall_limit, ends_at: total_limit.map(|limit| now + limit), size: 0, grown_at: now }
    }

    /// Returns when a limit is reached. May be cancelled and called again.
    pub async fn alarm(&mut self) -> Stopped {
        loop {
            sleep(LOOK.min(self.stall_limit)).await;
            let now = Instant::now();
            // A part that was deleted after its commit changes the size too: a sign of life as well. A folder that
            // cannot be read tells nothing; the reader meets the same error and says so.
            if let Ok(size) =
                self.parts.bytes_on_disk().map(|size| std::mem::replace(&mut self.size, size) != size)
                && size
            {
                self.grown_at = now;
            }
            if self.ends_at.is_some_and(|end| now >= end) {
                return Stopped::TimedOut;
            }
            if now - self.grown_at >= self.stall_limit {
                return Stopped::Stalled;
            }
        }
    }
}
