//! How long a run waits for its next attempt after its worker was killed or told to end.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::{Departure, Disturbance};
use crate::sampler::Sample;
use crate::world::World;

/// From its admission to its start a run takes less than this, except on a very busy machine.
const ADMISSION: Duration = Duration::from_millis(500);

/// The attempts that a worker had at a moment and left to others, and when those began. Without exports that a client
/// cancelled, which go on when the client says so, and runs whose channel another export was reading first.
const LEFT: &str = "
    SELECT a.ended_at, n.started_at
      FROM export_attempts a
      JOIN export_attempts n ON n.run_id = a.run_id AND n.attempt = a.attempt + 1
      JOIN export_channels r ON r.id = a.run_id
     WHERE a.worker = $1 AND a.started_at < $2 AND a.ended_at >= $2 AND n.started_at < $3
       AND a.outcome IN ('handed_back', 'lease_expired') AND r.job_id::text <> ALL ($4)
       AND NOT EXISTS (SELECT FROM export_attempts o JOIN export_channels c ON c.id = o.run_id
                        WHERE c.channel_id = r.channel_id AND c.id <> r.id
                          AND o.started_at < n.started_at AND o.ended_at > a.ended_at)";

/// The longest of all times in which nothing else kept the run from going on: neither database, network nor disk, and
/// there was a place for it. `until`: before retries by hand.
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
            // Without its own admission, which takes a place just before it starts.
            let (waits_since, admitted) =
                (at + (ended - left).to_std().unwrap_or_default(), (at + took).checked_sub(ADMISSION));
            let had_no_place = samples.iter().any(|sample| {
                sample.at >= waits_since && Some(sample.at) <= admitted && sample.free_places <= 0
            });
            world.journal.note(format_args!(
                "{worker} left a run, {:.1} s later it was resumed{}",
                took.as_secs_f64(),
                match (was_disturbed, had_no_place) {
                    (true, _) => ", after another fault",
                    (_, true) => ", for want of a place",
                    _ => "",
                }
            ));
            if !was_disturbed && !had_no_place {
                longest = longest.max(Some(took));
            }
        }
    }
    Ok(longest)
}
