//! Looks at the tables ten times a second while everything goes on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::journal::Breach;
use crate::world::World;

const PERIOD: Duration = Duration::from_millis(100);

/// What is going on, in one snapshot.
const ACTIVE: &str = "
    SELECT (SELECT count(*) FROM export_channels WHERE status = 'running' OR task_id IS NOT NULL) AS active,
           (SELECT coalesce(sum(slots), 0) FROM workers
             WHERE NOT draining AND last_seen > clock_timestamp() - interval '20 s') AS slots,
           (SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM export_channels
             WHERE status = 'running' GROUP BY channel_id) c) AS of_one_channel";
/// Who has how many runs.
const OWNERS: &str =
    "SELECT lease_owner, count(*) FROM export_channels WHERE status = 'running' GROUP BY lease_owner";

/// A moment and the slots of the workers that were up and had nothing to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) free_slots: i64,
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
        let mut tx = world.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *tx).await?;
        let (active, slots, of_one_channel): (i64, i64, i64) =
            sqlx::query_as(ACTIVE).fetch_one(&mut *tx).await?;
        let owners: HashMap<String, i64> =
            sqlx::query_as(OWNERS).fetch_all(&mut *tx).await?.into_iter().collect();
        tx.rollback().await?;

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
        let free_slots = world
            .workers
            .iter()
            .filter_map(crate::place::Place::name)
            .map(|name| i64::from(world.slots) - owners.get(&name).copied().unwrap_or(0))
            .sum();
        let sample = Sample { at: Instant::now(), free_slots };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        Ok(())
    }
}
