//! Limits the speed of deletion: pauses between steps while exports are running.

use std::io::Write;
use std::time::{Duration, Instant};

use dce_core::db::PgConnection;
use dce_core::store::StoreError;
use dce_core::store::retention::batched_deletion::is_ingesting;

/// While runs are active, the pause after a step is this many times as long as the step. Deletion then works a tenth of the
/// time and slows ingests that share the disk by no more than that.
const PAUSE_FACTOR: u32 = 9;
/// Maximum pause after a step.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long a failing step is retried: another session may hold a row that it needs.
const RETRY_FOR: Duration = Duration::from_mins(1);
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Interval between two lines of progress.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Throttles the steps of one command.
#[derive(Debug)]
pub(super) struct Throttle {
    reported: Instant,
}

impl Throttle {
    pub(super) fn start() -> Self {
        Self { reported: Instant::now() }
    }

    /// Runs a step, which must be repeatable after an error, and pauses.
    pub(super) async fn step<T>(
        &mut self,
        connection: &mut PgConnection,
        mut work: impl AsyncFnMut(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let since = Instant::now();
        loop {
            let started = Instant::now();
            match work(connection).await {
                Ok(done) => {
                    let worked = started.elapsed();
                    tokio::time::sleep(pause(worked, is_ingesting(connection).await?)).await;
                    return Ok(done);
                }
                Err(error) if error.is_unavailable() || !error.is_transient() => return Err(error),
                Err(error) if since.elapsed() > RETRY_FOR => return Err(error),
                Err(_) => tokio::time::sleep(RETRY_DELAY).await,
            }
        }
    }

    /// Prints progress on stderr, at most once per interval.
    pub(super) fn report(&mut self, so_far: impl Fn() -> String) {
        if self.reported.elapsed() > REPORT_INTERVAL {
            self.reported = Instant::now();
            let _ = writeln!(std::io::stderr(), "{} so far", so_far());
        }
    }
}

fn pause(worked: Duration, is_ingesting: bool) -> Duration {
    if is_ingesting { (worked * PAUSE_FACTOR).min(MAX_PAUSE) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_exports_run_deletion_works_a_tenth_of_the_time() {
        let worked = Duration::from_millis(30);
        assert_eq!(pause(worked, false), Duration::ZERO);
        assert_eq!(pause(worked, true), Duration::from_millis(270));
        assert_eq!(pause(Duration::from_secs(60), true), MAX_PAUSE);
    }
}
