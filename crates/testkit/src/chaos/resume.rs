//! How long a run waits for its next attempt after its worker was killed or told to end.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::{Departure, Disturbance};
use crate::sampler::Sample;
use crate::world::World;

/// The attempts that a worker had at a moment and left to others, and when those began. Without exports that a client
/// cancelled: those go on when the client says so.
const LEFT: &str = "
    SELECT a.ended_at, n.started_at
      FROM export_attempts a
      JOIN export_attempts n ON n.run_id = a.run_id AND n.attempt = a.attempt + 1
      JOIN export_channels r ON r.id = a.run_id
     WHERE a.worker = $1 AND a.started_at < $2 AND a.ended_at >= $2 AND n.started_at < $3
       AND a.outcome IN ('handed_back', 'lease_expired') AND r.job_id::text <> ALL ($4)";

/// The longest of all times in which nothing else kept the run from going on: neither database, network nor disk, and
/// there was a slot for it. `until`: before retries by hand.
pub(crate) async fn longest(
    world: &World,
    samples: &[Sample],
    until: DateTime<Utc>,
    cancelled: &[String],
) -> anyhow::Result<Option<Duration>> {
    let disturbances = world.journal.disturbances();
    let mut longest = None;
    for Departure { worker, at } in world.journal.departures() {
        let left = world.database_time(at);
        let resumed: Vec<(DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(LEFT)
            .bind(&worker)
            .bind(left)
            .bind(until)
            .bind(cancelled)
            .fetch_all(&world.pool)
            .await?;
        for (ended, resumed) in resumed {
            let took = (resumed - left).to_std().unwrap_or_default();
            let was_disturbed =
                disturbances.iter().any(|Disturbance { from, to }| *from < at + took && *to > at);
            let waits_since = at + (ended - left).to_std().unwrap_or_default();
            let had_no_slot = samples
                .iter()
                .any(|sample| sample.at >= waits_since && sample.at <= at + took && sample.free_slots <= 0);
            if !was_disturbed && !had_no_slot {
                world.journal.note(format_args!(
                    "{worker} left a run, {:.1} s later it was resumed",
                    took.as_secs_f64()
                ));
                longest = longest.max(Some(took));
            }
        }
    }
    Ok(longest)
}
