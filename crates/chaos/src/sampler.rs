//! Samples the tables ten times a second while the seed runs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::types::Json;

use crate::event_log::ViolationKind;
use crate::supervisor::SupervisedProcess;
use crate::system::SystemUnderTest;

const PERIOD: Duration = Duration::from_millis(100);

/// Everything in one statement: one snapshot, and nothing stays open when the sample is interrupted.
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

/// The number of additional runs that were possible at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) free_slots: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<Vec<Sample>>);

impl Sampler {
    /// Samples until dropped.
    pub(crate) async fn run(&self, system: &SystemUnderTest, max_parallel_runs: Option<u32>) -> ! {
        let mut peak = 1;
        loop {
            // The server may be down.
            let _ = self.sample(system, max_parallel_runs, &mut peak).await;
            tokio::time::sleep(PERIOD).await;
        }
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn sample(&self, system: &SystemUnderTest, limit: Option<u32>, peak: &mut i64) -> sqlx::Result<()> {
        let Snapshot { active, slots, of_one_channel, of_owners: Json(owners) } =
            sqlx::query_as(ACTIVE).fetch_one(&system.pool).await?;
        let log = &system.log;
        // Admitted runs stay admitted when workers end.
        *peak = slots.max(*peak);
        let allowed = limit.map_or(*peak, |limit| i64::from(limit).min(*peak));
        if active > allowed {
            log.violation(
                ViolationKind::OverLimit,
                format!("{active} runs running or admitted, {allowed} allowed"),
            );
        }
        if of_one_channel > 1 {
            log.violation(ViolationKind::OverLimit, format!("{of_one_channel} running runs of one channel"));
        }
        for (owner, runs) in owners.iter().filter(|(_, runs)| **runs > i64::from(system.slots)) {
            log.violation(
                ViolationKind::OverLimit,
                format!("{runs} runs on the {} slots of {owner}", system.slots),
            );
        }
        let up = system.workers.iter().filter_map(SupervisedProcess::announced);
        let free_of_workers: i64 =
            up.map(|name| i64::from(system.slots) - owners.get(&name).copied().unwrap_or(0)).sum();
        let free_slots = free_of_workers.min(allowed - active);
        let sample = Sample { at: Instant::now(), free_slots };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        Ok(())
    }
}
