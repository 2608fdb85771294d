//! Which failures have a cause that excuses them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::client::{Ending, Failure, Load};
use super::request::Way;
use super::stage::Trick;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    InstanceKilled,
    DestinationDown,
    FrontKilled,
    FrontRestarted,
    /// Nothing may fail for it.
    Harmless(Trick),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Disturbance {
    pub(super) cause: Cause,
    /// Before it was done.
    pub(super) begun: Instant,
    /// After this, nothing that comes in may suffer from it: an instance that dies has begun
    /// nothing later; whatever else was gone is back.
    pub(super) settled: Instant,
}

impl Disturbance {
    /// The failures that are allowed: of what somebody had begun, and for want of a front or of an
    /// only destination.
    fn excuses(&self, failure: &Failure) -> bool {
        let sent_in_time = failure.sent <= self.settled;
        let opened_in_time = failure.opened <= self.settled;
        let delegated = failure.way != Way::Forwarded;
        failure.ended >= self.begun
            && match (self.cause, failure.ending) {
                // What can be sent again is given to another instance.
                (Cause::InstanceKilled, Ending::Status(503)) => {
                    delegated && sent_in_time && !failure.can_be_sent_again
                }
                (Cause::InstanceKilled, Ending::CutOff) => delegated && sent_in_time,
                // The answer before it may have been whole already when the instance died that
                // had not yet given the connection back; no matter where the next one would go.
                (Cause::InstanceKilled, Ending::Closed) => opened_in_time,
                (Cause::InstanceKilled, _) => false,
                (Cause::DestinationDown, Ending::Status(502..=504) | Ending::CutOff) => {
                    !delegated && sent_in_time
                }
                (Cause::DestinationDown, Ending::Closed) => !delegated && opened_in_time,
                (Cause::DestinationDown, _) => false,
                // A front that comes back may not know its targets at once.
                (Cause::FrontKilled | Cause::FrontRestarted, Ending::Status(status)) => {
                    status == 503 && sent_in_time
                }
                // A front that stops in good order finishes what it has begun.
                (Cause::FrontRestarted, Ending::CutOff) => false,
                (Cause::FrontKilled | Cause::FrontRestarted, _) => opened_in_time,
                (Cause::Harmless(_), _) => false,
            }
    }
}

pub(super) struct Verdict<'a> {
    seed: u64,
    disturbances: &'a [Disturbance],
    answered: usize,
    excused: usize,
    faults: Vec<String>,
}

impl<'a> Verdict<'a> {
    pub(super) fn new(seed: u64, disturbances: &'a [Disturbance]) -> Self {
        Self {
            seed,
            disturbances,
            answered: 0,
            excused: 0,
            faults: Vec::new(),
        }
    }

    pub(super) fn hear(&mut self, load: &Load) {
        self.answered += load.answered;
        self.faults.extend(load.mistakes.iter().cloned());
        for failure in &load.failures {
            let mut causes = self.disturbances.iter();
            if causes.any(|cause| cause.excuses(failure)) {
                // Who finds no front tries again at once: those attempts are not worth counting.
                self.excused += usize::from(failure.ending != Ending::NoConnection);
            } else {
                self.faults.push(self.fault(failure));
            }
        }
    }

    /// A failure without excuse, and what was going on.
    fn fault(&self, failure: &Failure) -> String {
        let Some(first) = self.disturbances.first() else {
            return format!("{failure:?}");
        };
        // In milliseconds since the first disturbance, which may be after it.
        let at = |time: Instant| match time.checked_duration_since(first.begun) {
            Some(after) => after.as_millis() as i64,
            None => -(first.begun.duration_since(time).as_millis() as i64),
        };
        let around = self.disturbances.iter().filter(|disturbance| {
            (at(disturbance.begun) - at(failure.ended)).abs() < 2000
                || (at(disturbance.settled) - at(failure.ended)).abs() < 2000
        });
        let around: Vec<_> = around
            .map(|cause| {
                format!(
                    "{:?} {}..{}",
                    cause.cause,
                    at(cause.begun),
                    at(cause.settled)
                )
            })
            .collect();
        format!(
            "{}: {:?} at {}; connection of {}, sent at {}, ended at {}; about then: {}",
            failure.request,
            failure.ending,
            time_of_day(failure.ended),
            at(failure.opened),
            at(failure.sent),
            at(failure.ended),
            around.join(", ")
        )
    }

    /// Fails for any fault, with what the fronts `said`.
    pub(super) fn pronounce(self, said: &[String]) {
        let Self {
            seed,
            disturbances,
            answered,
            excused,
            faults,
        } = self;
        println!(
            "seed {seed}: {answered} answered, {excused} failed in {} disturbances as they may",
            disturbances.len()
        );
        assert!(
            faults.is_empty(),
            "the fronts said:\n{}\nseed {seed}: {} faults, {answered} answered:\n{}",
            said.join("\n"),
            faults.len(),
            faults.join("\n")
        );
        // A story in which nearly everything fails with an excuse shows nothing.
        assert!(answered > excused, "{answered} answered, {excused} excused");
    }
}

/// As the fronts' logs tell the time, to find the place there.
fn time_of_day(time: Instant) -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let millis = (since_epoch - time.elapsed()).as_millis();
    let seconds = millis / 1000;
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:03}",
        seconds % 60,
        millis % 1000
    )
}
