//! The moment at which DCE ends, as seen from outside.

use std::time::{Duration, Instant};

use anyhow::ensure;
use dce_standin::scenario::ScenarioDir;
use dce_testkit::process::has_ended;
use tokio::time::sleep;

/// How often the process is checked: the accuracy of the measurement.
pub(crate) const POLL: Duration = Duration::from_millis(1);
/// Longer than any stand-in runs.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the call of the stand-in after the first `calls`, then for its exit.
pub(crate) async fn wait_after(scenario: &ScenarioDir, calls: usize) -> anyhow::Result<Instant> {
    let start = Instant::now();
    let pid = loop {
        if let Some(call) = scenario.invocations().get(calls) {
            break call.pid;
        }
        ensure!(start.elapsed() < LIMIT, "DCE was not started");
        sleep(POLL).await;
    };
    while !has_ended(pid) {
        ensure!(start.elapsed() < LIMIT, "DCE does not end");
        sleep(POLL).await;
    }
    Ok(Instant::now())
}
