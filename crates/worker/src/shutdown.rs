//! The two stages of a shutdown: in order, then at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Time from the second request to the end: [`crate::lease::LAST_WRITES`], then the hand-back.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(4);

/// The first request asks for an end within the grace period, the second for an immediate end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Runs that finish in time may finish; the others are handed back.
    pub in_order: CancellationToken,
    /// Every run is handed back with as much as can be kept at once.
    pub at_once: CancellationToken,
}

impl Shutdown {
    /// Requests the next stage (SIGTERM or SIGINT).
    pub fn request(&self) {
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
    fn the_first_request_ends_in_order_and_the_second_at_once() {
        let shutdown = Shutdown::default();
        shutdown.request();
        assert!(shutdown.in_order.is_cancelled() && !shutdown.at_once.is_cancelled());
        shutdown.request();
        assert!(shutdown.at_once.is_cancelled());
    }
}
