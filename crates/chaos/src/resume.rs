//! Measures how long a run waits for its next attempt after its worker was killed or asked to end.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event_log::{Outage, WorkerExit};
use crate::sampler::Sample;
use crate::system::SystemUnderTest;

/// From its admission to its start a run takes less than this, except on a very busy machine.
const ADMISSION: Duration = Duration::from_millis(500);

/// A worker's attempts at a moment that others resumed, and the start of the next attempts. Without exports that a client
/// cancelled, which continue when the client retries them, and without runs whose channel another export read first.
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

/// The longest wait that nothing else explains: database, network and disk worked, and a slot was free. `until`: before the
/// retries by a client.
pub(crate) async fn longest(
    system: &SystemUnderTest,
    samples: &[Sample],
    until: DateTime<Utc>,
    cancelled: &[String],
) -> anyhow::Result<Option<Duration>> {
    let outages = system.log.outages();
    let mut longest = None;
    for WorkerExit { worker, at } in system.log.worker_exits() {
        let left = system.database_time(at);
        let resumed: Vec<(DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(LEFT)
            .bind(&worker)
            .bind(left)
            .bind(until)
            .bind(cancelled)
            .fetch_all(&system.pool)
            .await?;
        for (ended, resumed) in resumed {
            let took = (resumed - left).to_std().unwrap_or_default();
            let had_outage = outages.iter().any(|Outage { from, to }| *from < at + took && *to > at);
            // Without its own admission, which takes a slot just before it starts.
            let (waits_since, admitted) =
                (at + (ended - left).to_std().unwrap_or_default(), (at + took).checked_sub(ADMISSION));
            let had_no_slot = samples.iter().any(|sample| {
                sample.at >= waits_since && Some(sample.at) <= admitted && sample.free_slots <= 0
            });
            system.log.note(format_args!(
                "a run of {worker} was resumed after {:.1} s{}",
                took.as_secs_f64(),
                match (had_outage, had_no_slot) {
                    (true, _) => ", after another fault",
                    (_, true) => ", for lack of a slot",
                    _ => "",
                }
            ));
            if !had_outage && !had_no_slot {
                longest = longest.max(Some(took));
            }
        }
    }
    Ok(longest)
}
