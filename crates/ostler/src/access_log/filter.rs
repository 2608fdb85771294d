//! Which exchanges have a line.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use ostler_config::AccessLogFilter;
use ostler_proxy::AccessRecord;

/// Decides for each exchange.
#[derive(Debug)]
pub(super) struct Filter {
    rules: AccessLogFilter,
    /// Makes chance of what exchanges differ in.
    random: RandomState,
}

impl Filter {
    pub(super) fn new(rules: AccessLogFilter) -> Self {
        let random = RandomState::new();
        Self { rules, random }
    }

    pub(super) fn takes(&self, record: &AccessRecord<'_>) -> bool {
        let outcome = record.outcome;
        // Without one, the client was given nothing.
        let status = outcome.status;
        let draw = || {
            let differs = (record.at, record.client, outcome.duration);
            // The upper bits, as many as a double holds.
            (self.random.hash_one(differs) >> 11) as f64 / (1u64 << 53) as f64
        };
        decide(&self.rules, status, outcome.duration, draw)
    }
}

/// `draw` is from 0 to 1, and less than that.
fn decide(
    rules: &AccessLogFilter,
    status: u16,
    duration: Duration,
    draw: impl FnOnce() -> f64,
) -> bool {
    if *rules == AccessLogFilter::default() {
        return true;
    }
    rules
        .status_from
        .is_some_and(|from| status == 0 || status >= from)
        || rules.slower_than.is_some_and(|time| duration >= time)
        || rules.sample.is_some_and(|share| draw() < share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_rule_takes_has_a_line_and_without_rules_everything() {
        let (none, fast, slow) = (
            AccessLogFilter::default(),
            Duration::ZERO,
            Duration::from_secs(1),
        );
        let from = AccessLogFilter {
            status_from: Some(400),
            ..none
        };
        let slower = AccessLogFilter {
            slower_than: Some(slow),
            ..from
        };
        let sampled = AccessLogFilter {
            sample: Some(0.5),
            ..none
        };
        for (rules, status, duration, drawn, taken) in [
            (none, 200, fast, 0.9, true),
            (from, 200, slow, 0.0, false),
            (from, 399, fast, 0.0, false),
            (from, 400, fast, 0.0, true),
            (from, 0, fast, 0.0, true),
            (slower, 200, fast, 0.0, false),
            (slower, 200, slow, 0.0, true),
            (slower, 500, fast, 0.0, true),
            (sampled, 200, fast, 0.49, true),
            (sampled, 500, slow, 0.5, false),
        ] {
            assert_eq!(
                decide(&rules, status, duration, || drawn),
                taken,
                "{rules:?} {status}"
            );
        }
    }
}
