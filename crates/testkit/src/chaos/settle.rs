//! After the faults: everything comes to its end, and what failed or was cancelled completes when it is retried.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::check;
use crate::client::Client;
use crate::journal::Breach;
use crate::world::World;

/// From the last fault to the end of the last export: a lease, attempts that stall, the longest pauses between tries.
const LIMIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);
/// Each round uses up an ending that a scenario has for a channel.
const ROUNDS: u32 = 8;

/// Waits until all exports have ended; false if they do not in time.
pub(crate) async fn all_ended(world: &World) -> anyhow::Result<bool> {
    let start = Instant::now();
    loop {
        let open: Vec<String> = sqlx::query_scalar(
            "SELECT r.id || ' of ' || r.channel_id || ' is ' || r.status || ', attempt ' || r.attempt
               FROM export_channels r JOIN exports e USING (job_id)
              WHERE r.finished_at IS NULL OR e.finished_at IS NULL",
        )
        .fetch_all(&world.pool)
        .await?;
        if open.is_empty() {
            return Ok(true);
        }
        if start.elapsed() > LIMIT {
            let what = format!("{LIMIT:?} after the last fault or retry: {}", open.join("; "));
            world.journal.violated(Breach::Stuck, what);
            return Ok(false);
        }
        sleep(LOOK).await;
    }
}

/// Retries until everything is completed, so that all of it can be compared.
pub(crate) async fn retry_until_completed(world: &World, client: &Client<'_>) -> anyhow::Result<()> {
    for _ in 0..ROUNDS {
        check::failed_without_cause(world).await?;
        let ended: Vec<String> =
            sqlx::query_scalar("SELECT job_id::text FROM exports WHERE status IN ('failed', 'cancelled')")
                .fetch_all(&world.pool)
                .await?;
        if ended.is_empty() {
            return Ok(());
        }
        for job_id in &ended {
            world.journal.note(format_args!("retry of {job_id}"));
            if !client.control(job_id, "retry").await {
                world.journal.violated(Breach::Misbehaved, format!("a retry of {job_id} was refused"));
            }
        }
        if !all_ended(world).await? {
            return Ok(());
        }
    }
    let what = format!("after {ROUNDS} retries there are exports that are not completed");
    world.journal.violated(Breach::Stuck, what);
    Ok(())
}

/// Stops everything in order; all of it ends with exit code 0.
pub(crate) async fn stop_all(world: &World) {
    /// Longer than the longest grace.
    const END_LIMIT: Duration = Duration::from_secs(30);
    for place in world.places() {
        place.lock().await.signal(nix::sys::signal::Signal::SIGTERM);
    }
    for place in world.places() {
        let mut process = place.lock().await;
        let Some(running) = &mut process.running else { continue };
        match running.ended(END_LIMIT).await {
            Some(status) if status.success() => {}
            Some(status) => {
                let what = format!("{:?} ended with {status} after SIGTERM", place.role);
                world.journal.violated(Breach::Misbehaved, what);
            }
            None => {
                let what = format!("{:?} did not end within {END_LIMIT:?} of SIGTERM", place.role);
                world.journal.violated(Breach::Stuck, what);
                process.kill().await;
            }
        }
    }
}
