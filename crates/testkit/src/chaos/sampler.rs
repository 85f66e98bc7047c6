//! Looks at the tables ten times a second while everything goes on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::types::Json;

use crate::journal::Breach;
use crate::place::Place;
use crate::world::World;

const PERIOD: Duration = Duration::from_millis(100);

/// What is going on, in one statement: one snapshot, and nothing is left open when the look is cut short.
const ACTIVE: &str = "
    SELECT (SELECT count(*) FROM export_channels WHERE status = 'running' OR task_id IS NOT NULL) AS active,
           (SELECT coalesce(sum(slots), 0) FROM workers
             WHERE NOT draining AND last_seen > clock_timestamp() - interval '20 s') AS slots,
           (SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM export_channels
             WHERE status = 'running' GROUP BY channel_id) c) AS of_one_channel,
           (SELECT coalesce(jsonb_object_agg(lease_owner, n), '{}')
              FROM (SELECT lease_owner, count(*) AS n FROM export_channels
                     WHERE status = 'running' GROUP BY lease_owner) o) AS of_owners";

#[derive(sqlx::FromRow)]
struct Snapshot {
    active: i64,
    slots: i64,
    of_one_channel: i64,
    of_owners: Json<HashMap<String, i64>>,
}

/// A moment and how many more runs could have been going on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) free_places: i64,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<Vec<Sample>>);

impl Sampler {
    /// Looks until dropped.
    pub(crate) async fn look(&self, world: &World, max_parallel_runs: Option<u32>) -> ! {
        let mut peak = 1;
        loop {
            // The server may be away.
            let _ = self.look_once(world, max_parallel_runs, &mut peak).await;
            tokio::time::sleep(PERIOD).await;
        }
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn look_once(&self, world: &World, limit: Option<u32>, peak: &mut i64) -> sqlx::Result<()> {
        let Snapshot { active, slots, of_one_channel, of_owners: Json(owners) } =
            sqlx::query_as(ACTIVE).fetch_one(&world.pool).await?;
        let journal = &world.journal;
        // What was admitted stays admitted when workers go.
        *peak = slots.max(*peak);
        let allowed = limit.map_or(*peak, |limit| i64::from(limit).min(*peak));
        if active > allowed {
            journal
                .violated(Breach::Overshot, format!("{active} runs running or admitted, {allowed} allowed"));
        }
        if of_one_channel > 1 {
            journal.violated(Breach::Overshot, format!("{of_one_channel} running runs of one channel"));
        }
        for (owner, runs) in owners.iter().filter(|(_, runs)| **runs > i64::from(world.slots)) {
            journal
                .violated(Breach::Overshot, format!("{runs} runs on the {} slots of {owner}", world.slots));
        }
        let up = world.workers.iter().filter_map(Place::name);
        let free_slots: i64 =
            up.map(|name| i64::from(world.slots) - owners.get(&name).copied().unwrap_or(0)).sum();
        let free_places = free_slots.min(allowed - active);
        let sample = Sample { at: Instant::now(), free_places };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        Ok(())
    }
}
