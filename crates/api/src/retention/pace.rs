//! How fast is deleted: step by step, with rests while exports are running.

use std::io::Write;
use std::time::{Duration, Instant};

use dce_core::db::PgConnection;
use dce_core::store::StoreError;
use dce_core::store::retention::batched_deletion::is_ingesting;

/// While runs are running, a step is followed by a rest so many times as long: a tenth of the time is worked, so that
/// whoever shares the disk with it is slowed by no more.
const REST: u32 = 9;
/// But not by a longer one.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// A step is repeated for so long: others may hold a row that it needs.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it says how far it is.
const TELL: Duration = Duration::from_secs(5);

/// Keeps the pace of one command.
#[derive(Debug)]
pub(super) struct Pace {
    told: Instant,
}

impl Pace {
    /// Of a command that begins.
    pub(super) fn begin() -> Self {
        Self { told: Instant::now() }
    }

    /// Does a step, which must be repeatable after an error, and rests.
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
                    tokio::time::sleep(rest(worked, is_ingesting(connection).await?)).await;
                    return Ok(done);
                }
                Err(error) if error.is_unavailable() || !error.is_transient() => return Err(error),
                Err(error) if since.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Says on stderr how far it is, now and then.
    pub(super) fn tell(&mut self, so_far: impl Fn() -> String) {
        if self.told.elapsed() > TELL {
            self.told = Instant::now();
            let _ = writeln!(std::io::stderr(), "{} so far", so_far());
        }
    }
}

fn rest(worked: Duration, is_ingesting: bool) -> Duration {
    if is_ingesting { (worked * REST).min(LONGEST_REST) } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_exports_run_a_tenth_of_the_time_is_worked() {
        let worked = Duration::from_millis(30);
        assert_eq!(rest(worked, false), Duration::ZERO);
        assert_eq!(rest(worked, true), Duration::from_millis(270));
        assert_eq!(rest(Duration::from_secs(60), true), LONGEST_REST);
    }
}
