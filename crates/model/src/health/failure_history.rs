//! How the exchanges of a destination ended in the near past.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The granularity of the window.
const SLOT: Duration = Duration::from_secs(1);

/// The exchanges of one destination in the window, by the second.
#[derive(Debug, Default)]
pub(crate) struct FailureHistory {
    /// When the current slot ends; `None` before the first exchange.
    slot_end: Option<Instant>,
    slot: Counts,
    /// Slots that are over, the oldest first.
    records: VecDeque<(Instant, Counts)>,
    /// The sum of `slot` and `records`.
    sum: Counts,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    total: u64,
    failed: u64,
}

impl FailureHistory {
    /// Steps 1 to 4 of reference A7.4.
    pub(super) fn add(&mut self, now: Instant, failed: bool, window: Duration) {
        let slot_end = *self.slot_end.get_or_insert(now + SLOT);
        if now >= slot_end {
            self.records
                .push_back((slot_end, std::mem::take(&mut self.slot)));
            self.slot_end = Some(now + SLOT);
        }
        for counts in [&mut self.sum, &mut self.slot] {
            counts.total += 1;
            counts.failed += u64::from(failed);
        }
        while let Some((time, counts)) = self.records.front()
            && now.saturating_duration_since(*time) > window
        {
            self.sum.total -= counts.total;
            self.sum.failed -= counts.failed;
            self.records.pop_front();
        }
    }

    /// Step 5.
    pub(super) fn rate(&self, minimal_total_count: u64) -> f64 {
        match self.sum {
            Counts { total, .. } if total == 0 || total < minimal_total_count => 0.0,
            Counts { total, failed } => failed as f64 / total as f64,
        }
    }
}
