//! How urgently the worker was asked to end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// From a second request to the end: [`crate::lease::LAST_WRITES`], then the hand-back.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(4);

/// Asked once: end within the grace. Asked again: end now.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// What ends in time may end, the rest is handed back.
    pub in_order: CancellationToken,
    /// Everything is handed back that can be at once.
    pub at_once: CancellationToken,
}

impl Shutdown {
    /// Somebody asks: SIGTERM or SIGINT.
    pub fn ask(&self) {
        if self.in_order.is_cancelled() {
            self.at_once.cancel();
        }
        self.in_order.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_is_meant() {
        let shutdown = Shutdown::default();
        shutdown.ask();
        assert!(shutdown.in_order.is_cancelled() && !shutdown.at_once.is_cancelled());
        shutdown.ask();
        assert!(shutdown.at_once.is_cancelled());
    }
}
