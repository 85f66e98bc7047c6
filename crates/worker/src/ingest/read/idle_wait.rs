//! Pauses between reads of a file that grows.

use std::time::Duration;

/// A pause that is short after data and doubles up to a limit while nothing comes.
#[derive(Debug, Clone)]
pub(super) struct IdleWait {
    shortest: Duration,
    longest: Duration,
    next: Duration,
}

impl IdleWait {
    pub(super) const fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, next: shortest }
    }

    /// Blocks the thread for the next pause.
    pub(super) fn wait(&mut self) {
        std::thread::sleep(self.advance());
    }

    /// Makes the next pause the shortest again.
    pub(super) const fn reset(&mut self) {
        self.next = self.shortest;
    }

    fn advance(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.longest);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_limit_and_start_over_with_data() {
        let mut wait = IdleWait::new(Duration::from_millis(2), Duration::from_millis(20));
        let ms: Vec<_> = (0..6).map(|_| wait.advance().as_millis()).collect();
        assert_eq!(ms, [2, 4, 8, 16, 20, 20]);
        wait.reset();
        assert_eq!(wait.advance(), Duration::from_millis(2));
    }
}
