//! How much is measured.

use dce_standin::scenario::Scenario;

use crate::channels;

/// A million messages take minutes each time.
pub(crate) const MILLION_RUNS: u32 = 3;

pub(crate) struct BenchPlan {
    pub(crate) command: &'static str,
    /// Runs of each measurement.
    pub(crate) runs: u32,
    /// Runs of measurements that take half a minute each.
    pub(crate) long_runs: u32,
    pub(crate) has_million: bool,
    /// Messages of the ingest that runs while requests are measured.
    background: u32,
}

impl BenchPlan {
    pub(crate) const fn quick() -> Self {
        Self {
            command: "scripts/bench.sh --quick",
            runs: 3,
            long_runs: 1,
            has_million: false,
            background: 300_000,
        }
    }

    pub(crate) const fn full() -> Self {
        Self { command: "scripts/bench.sh", runs: 5, long_runs: 5, has_million: true, background: 600_000 }
    }

    /// The number of runs, for the report.
    pub(crate) fn describe(&self) -> String {
        let million = if self.has_million {
            format!(", {MILLION_RUNS} with 1,000,000 messages")
        } else {
            String::new()
        };
        format!("{} runs of each line{million}; lines without minimum and maximum: one", self.runs)
    }

    pub(crate) fn scenario(&self) -> Scenario {
        channels::scenario(self.background)
    }
}
