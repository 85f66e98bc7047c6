//! After the faults: every export ends, failed and cancelled ones complete when they are retried, then all processes stop.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::check;
use crate::client::Client;
use crate::event_log::ViolationKind;
use crate::system::SystemUnderTest;

/// Time from the last fault to the end of the last export: a lease, stalled attempts, the longest retry delays.
const LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// Each round uses up one scripted ending of a channel.
const ROUNDS: u32 = 8;

/// Waits until all exports have ended; returns whether they did in time.
pub(crate) async fn all_ended(system: &SystemUnderTest) -> anyhow::Result<bool> {
    let start = Instant::now();
    loop {
        let open: Vec<String> = sqlx::query_scalar(
            "SELECT r.id || ' of ' || r.channel_id || ' is ' || r.status || ', attempt ' || r.attempt
               FROM export_channels r JOIN exports e USING (job_id)
              WHERE r.finished_at IS NULL OR e.finished_at IS NULL",
        )
        .fetch_all(&system.pool)
        .await?;
        if open.is_empty() {
            return Ok(true);
        }
        if start.elapsed() > LIMIT {
            let what = format!("{LIMIT:?} after the last fault or retry: {}", open.join("; "));
            system.log.violation(ViolationKind::Stuck, what);
            return Ok(false);
        }
        sleep(POLL).await;
    }
}

/// Retries until every export is completed, so that the whole archive can be compared.
pub(crate) async fn retry_until_completed(
    system: &SystemUnderTest,
    client: &Client<'_>,
) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        check::failed_without_cause(system).await?;
        let ended: Vec<String> =
            sqlx::query_scalar("SELECT job_id::text FROM exports WHERE status IN ('failed', 'cancelled')")
                .fetch_all(&system.pool)
                .await?;
        if ended.is_empty() {
            return Ok(());
        }
        for job_id in &ended {
            system.log.note(format_args!("retry of {job_id}"));
            if !client.control(job_id, "retry").await {
                system.log.violation(ViolationKind::Misbehaved, format!("retry of {job_id} was refused"));
            }
        }
        if !all_ended(system).await? {
            return Ok(());
        }
    }
    let what = format!("exports are not completed after {ROUNDS} retries");
    system.log.violation(ViolationKind::Stuck, what);
    Ok(())
}

/// Stops all processes in order; each must end with exit code 0.
pub(crate) async fn stop_all(system: &SystemUnderTest) -> anyhow::Result<()> {
    /// Longer than the longest grace.
    const END_LIMIT: Duration = Duration::from_secs(30);
    for process in system.processes() {
        process.lock().await.signal(nix::sys::signal::Signal::SIGTERM);
    }
    for supervised in system.processes() {
        let program = supervised.program().name();
        let mut process = supervised.lock().await;
        let Some(running) = &mut process.running else { continue };
        match running.child.wait(END_LIMIT).await? {
            Some(status) if status.success() => {}
            Some(status) => {
                let what = format!("{program} ended with {status} after SIGTERM");
                system.log.violation(ViolationKind::Misbehaved, what);
            }
            None => {
                let what = format!("{program} did not end within {END_LIMIT:?} of SIGTERM");
                system.log.violation(ViolationKind::Stuck, what);
                process.kill().await?;
            }
        }
    }
    Ok(())
}
