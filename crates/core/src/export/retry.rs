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
                | Self::OutputShort
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

/// Time after DCE was through during which Discord's silence costs a run nothing of its budget.
pub const PROOF_GRACE: Duration = Duration::from_mins(15);

/// The first pause before Discord is asked again; doubles with each.
const PROOF_PAUSE_BASE: Duration = Duration::from_secs(5);

const PROOF_PAUSE_MAX: Duration = Duration::from_mins(5);

/// The pause before Discord is asked again for the proof. `waits`: pauses since DCE was through.
pub fn proof_pause(waits: u32, retry_after: Option<Duration>) -> Duration {
    let step = PROOF_PAUSE_BASE.saturating_mul(1 << waits.min(16)).min(PROOF_PAUSE_MAX);
    step.max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_for_the_proof_doubles_stays_bounded_and_respects_discord() {
        let seconds = |waits, retry_after| proof_pause(waits, retry_after).as_secs();
        assert_eq!([0, 1, 2, 5, 6, 60].map(|waits| seconds(waits, None)), [5, 10, 20, 160, 300, 300]);
        assert_eq!(seconds(0, Some(Duration::from_secs(3))), 5);
        assert_eq!(seconds(6, Some(Duration::from_secs(3600))), 3600);
    }

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
