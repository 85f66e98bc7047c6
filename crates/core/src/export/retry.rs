//! Which failures are retried, and after which delay. `export/state.rs` gives a run up after too many failures in a row.

use std::time::Duration;

use super::failure::FailureKind;

impl FailureKind {
    /// Whether the same run may succeed later without any change by the user.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::DiscordUnavailable
                | Self::DiskFull
                | Self::DceCrashed
                | Self::DceMissing
                | Self::OutputTruncated
                | Self::Stalled
                | Self::Timeout
                | Self::LeaseExpired
                | Self::DatabaseUnavailable
                | Self::DatabaseReadOnly
                | Self::WorkerError
        )
    }
}

/// The first delay; doubles with each failure in a row.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

const BACKOFF_MAX: Duration = Duration::from_mins(5);

/// The delay before the next attempt: exponential in the failures in a row without progress, spread by `jitter` (0 to 1,
/// drawn by the caller) over the upper half, and never less than Discord requested.
pub fn retry_delay(failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let step = BACKOFF_BASE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let spread = step.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    spread.max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_stays_bounded_and_respects_discord() {
        assert_eq!(retry_delay(0, None, 1.0), Duration::from_secs(1));
        assert_eq!(retry_delay(1, None, 1.0), Duration::from_secs(1));
        assert_eq!(retry_delay(4, None, 1.0), Duration::from_secs(8));
        assert_eq!(retry_delay(4, None, 0.0), Duration::from_secs(4));
        assert_eq!(retry_delay(60, None, 1.0), BACKOFF_MAX);
        assert_eq!(retry_delay(1, Some(Duration::from_secs(90)), 0.3), Duration::from_secs(90));
    }
}
