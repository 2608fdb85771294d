//! Durations counted by how long they are, by one thread, for others to read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets, in nanoseconds: those of OpenTelemetry's conventions for durations of
/// HTTP, and finer ones below, since an exchange with a target on the same host is done in less.
const BOUNDS: [u64; 22] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// Cells that one thread adds to.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    /// One a bucket, and one for what is longer than all of them.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

/// What the cells held at some moment, of one thread or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations {
    counts: [u64; BOUNDS.len() + 1],
    sum_ns: u64,
}

impl Cells {
    pub(crate) fn add(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|&bound| bound < nanoseconds);
        increase(&self.counts[at], 1);
        increase(&self.sum_ns, nanoseconds);
    }

    pub(crate) fn read(&self) -> Durations {
        Durations {
            counts: std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

/// Adds to a cell that no other thread adds to: cheaper than an addition that must not be interrupted.
pub(crate) fn increase(cell: &AtomicU64, by: u64) {
    let value = cell.load(Ordering::Relaxed).wrapping_add(by);
    cell.store(value, Ordering::Relaxed);
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            counts: [0; BOUNDS.len() + 1],
            sum_ns: 0,
        }
    }
}

impl Durations {
    /// Adds what another thread has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_nanos(self.sum_ns).as_secs_f64()
    }

    /// Each bucket's upper end in seconds, and how many lie between the one before and it. The last has
    /// no end.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let ends = BOUNDS
            .iter()
            .map(|&bound| Duration::from_nanos(bound).as_secs_f64());
        ends.chain([f64::INFINITY]).zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_does_not_end_before_it() {
        let cells = Cells::default();
        for micros in [0, 10, 11, 100, 10_000_000, 10_000_001] {
            cells.add(Duration::from_micros(micros));
        }
        let mut durations = cells.read();
        durations.merge(&cells.read());
        let counted: Vec<_> = durations
            .buckets()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(
            counted,
            [
                (0.000_01, 4),
                (0.000_025, 2),
                (0.000_1, 2),
                (10.0, 2),
                (f64::INFINITY, 2)
            ]
        );
        assert_eq!(durations.count(), 12);
        assert!((durations.sum() - 2.0 * 20.000_122).abs() < 1e-9);
    }
}
