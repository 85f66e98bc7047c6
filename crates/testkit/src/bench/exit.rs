//! The moment at which DCE ends, seen from outside.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dce_testkit::scenario::ScenarioDir;
use tokio::time::sleep;

/// How often it is looked at, which is how exact it is.
pub(crate) const LOOK: Duration = Duration::from_millis(1);
/// A stand-in that runs longer has been forgotten.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the call of the stand-in after the first `calls`, then for its end.
pub(crate) async fn of_call_after(scenario: &ScenarioDir, calls: usize) -> anyhow::Result<Instant> {
    let start = Instant::now();
    let pid = loop {
        if let Some(call) = scenario.invocations().get(calls) {
            break call.pid;
        }
        ensure!(start.elapsed() < LIMIT, "DCE was not started");
        sleep(LOOK).await;
    };
    while is_running(pid)? {
        ensure!(start.elapsed() < LIMIT, "DCE does not end");
        sleep(LOOK).await;
    }
    Ok(Instant::now())
}

/// A process that waits to be reaped has ended.
fn is_running(pid: u32) -> anyhow::Result<bool> {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return Ok(false) };
    let (_, state) = stat.rsplit_once(") ").context("no state in /proc/PID/stat")?;
    Ok(!state.starts_with(['Z', 'X']))
}
