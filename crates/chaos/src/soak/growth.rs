//! Decides whether a gauge grows: its values at the beginning against those at the end.

use std::collections::BTreeMap;

use super::gauges::{Gauge, Metric};

/// Tolerated growth of memory.
const TOLERATED_PERCENT: u64 = 10;
/// Additional tolerance of counts, for sessions and files that happen to be open.
const TOLERATED_COUNT: u64 = 2;

/// The development of a gauge over the whole time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Median of the first third of the values.
    pub(crate) first: u64,
    /// Median of the last third.
    pub(crate) last: u64,
    pub(crate) max: u64,
    pub(crate) leaks: bool,
}

/// Evaluates all gauges that have enough values.
pub(crate) fn evaluate(values: &BTreeMap<Gauge, Vec<u64>>) -> Vec<(&Gauge, Growth)> {
    values.iter().filter_map(|(gauge, values)| Some((gauge, growth(gauge.metric, values)?))).collect()
}

fn growth(metric: Metric, values: &[u64]) -> Option<Growth> {
    let third = values.len().div_ceil(3);
    let (first, last) = (median(values.get(..third)?)?, median(&values[values.len() - third..])?);
    let tolerated = first * (100 + TOLERATED_PERCENT) / 100
        + match metric {
            Metric::MemoryKib => 0,
            _ => TOLERATED_COUNT,
        };
    // The number of running exports varies by chance; what must be gone in the end is checked in the end.
    let is_load = matches!(metric, Metric::Children | Metric::Files);
    Some(Growth { first, last, max: values.iter().copied().max()?, leaks: !is_load && last > tolerated })
}

fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_by_more_than_a_tenth_is_a_leak() {
        let leaks = |metric, values: &[u64]| growth(metric, values).unwrap().leaks;
        let memory: Vec<u64> = (0..90).map(|at| 10_000 + at * 5).collect();
        assert!(!leaks(Metric::MemoryKib, &memory));
        let memory: Vec<u64> = (0..90).map(|at| 10_000 + at * 30).collect();
        assert!(leaks(Metric::MemoryKib, &memory));
        assert!(!leaks(Metric::Descriptors, &[10, 12, 10, 11, 12, 12]));
        assert!(leaks(Metric::Descriptors, &[10, 10, 12, 12, 14, 14]));
        assert!(!leaks(Metric::Children, &[0, 0, 6, 6, 6, 6]));
        assert_eq!(growth(Metric::Threads, &[]), None);
    }
}
