//! Whether a gauge grows: its values at the beginning against those at the end.

use std::collections::BTreeMap;

use super::gauges::{Gauge, What};

/// Memory may differ by this much.
const TOLERATED_PERCENT: u64 = 10;
/// So may counts, and by one or two more, for what happens to be open.
const TOLERATED_COUNT: u64 = 2;

/// A gauge over the whole time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Median of the first third of the values.
    pub(crate) first: u64,
    /// Median of the last third.
    pub(crate) last: u64,
    pub(crate) max: u64,
    pub(crate) leaks: bool,
}

/// All gauges that have enough values.
pub(crate) fn of(values: &BTreeMap<Gauge, Vec<u64>>) -> Vec<(&Gauge, Growth)> {
    values.iter().filter_map(|(gauge, values)| Some((gauge, growth(gauge.what, values)?))).collect()
}

fn growth(what: What, values: &[u64]) -> Option<Growth> {
    let third = values.len().div_ceil(3);
    let (first, last) = (median(values.get(..third)?)?, median(&values[values.len() - third..])?);
    let tolerated = first * (100 + TOLERATED_PERCENT) / 100
        + match what {
            What::MemoryKib => 0,
            _ => TOLERATED_COUNT,
        };
    // How many exports go on just then is chance: what must be gone in the end is looked at in the end.
    let is_load = matches!(what, What::Children | What::Files);
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
    fn what_grows_by_more_than_a_tenth_leaks() {
        let leaks = |what, values: &[u64]| growth(what, values).unwrap().leaks;
        let memory: Vec<u64> = (0..90).map(|at| 10_000 + at * 5).collect();
        assert!(!leaks(What::MemoryKib, &memory));
        let memory: Vec<u64> = (0..90).map(|at| 10_000 + at * 30).collect();
        assert!(leaks(What::MemoryKib, &memory));
        assert!(!leaks(What::Descriptors, &[10, 12, 10, 11, 12, 12]));
        assert!(leaks(What::Descriptors, &[10, 10, 12, 12, 14, 14]));
        assert!(!leaks(What::Children, &[0, 0, 6, 6, 6, 6]));
        assert_eq!(growth(What::Threads, &[]), None);
    }
}
