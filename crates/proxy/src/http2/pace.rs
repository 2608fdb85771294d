//! A connection's time: to say what it begins with, to idle, to end.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::ending::{LONGEST, Taking};
use crate::limits::FrontLimits;
use crate::slow_timer::{SlowTimer, TICK};

/// How long a client may take to answer the PING behind the first GOAWAY, by which whatever it sent
/// before it knew of the end has arrived (RFC 9113 section 6.8).
const ROUND_TRIP: Duration = Duration::from_millis(500);

/// What a client has not said yet and is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Its first SETTINGS, which belong to the preface (RFC 9113 section 3.4).
    Settings,
    /// The rest of a request's fields: nothing else may come before it (section 4.3).
    Fields,
}

/// What is to be done with a connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell the client that no further stream is taken, but for those on their way.
    Announce,
    /// Take no further stream.
    Refuse,
    /// Close it: the client takes nothing of what is left.
    Over,
    /// Close it: what is due has not come.
    TooLate(Due),
}

/// How far a connection is with its end.
#[derive(Debug)]
enum Closing {
    No,
    Announced(Instant),
    Refused(Taking),
}

/// A connection's deadlines, idling excepted.
#[derive(Debug)]
pub(super) struct Pace {
    due: Due,
    due_by: Instant,
    closing: Closing,
    timer: SlowTimer,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: Due::Nothing,
            due_by: now,
            closing: Closing::No,
            timer: SlowTimer::default(),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        !matches!(self.closing, Closing::No)
    }

    /// Closing has been announced.
    pub(super) fn announced(&mut self, now: Instant) {
        self.closing = Closing::Announced(now + ROUND_TRIP);
    }

    /// No further stream is taken; `taking` tells how the client takes the rest.
    pub(super) fn refused(&mut self, taking: Taking) {
        self.closing = Closing::Refused(taking);
    }

    /// Looks whether time is up. `ends` is whether the connection is to end as soon as it can, and
    /// `is_unused` whether it has no exchange.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        limits: &FrontLimits,
        due: Due,
        ends: bool,
        is_unused: bool,
        cx: &Context<'_>,
    ) -> Poll<Step> {
        if due != self.due {
            (self.due, self.due_by) = (due, now + limits.head_timeout);
        }
        if due != Due::Nothing && now >= self.due_by {
            return Poll::Ready(Step::TooLate(due));
        }
        let step = match &mut self.closing {
            Closing::No if ends => Some(Step::Announce),
            Closing::Announced(until) if now >= *until => Some(Step::Refuse),
            Closing::Refused(taking) if is_unused => {
                taking.is_over(now, LONGEST).then_some(Step::Over)
            }
            Closing::No | Closing::Announced(_) | Closing::Refused(_) => None,
        };
        if let Some(step) = step {
            return Poll::Ready(step);
        }
        let until = match self.closing {
            Closing::No if due == Due::Nothing => return Poll::Pending,
            Closing::No => self.due_by,
            Closing::Announced(until) => until,
            Closing::Refused(_) => now + TICK,
        };
        // Ready only where a tick has come since `now` was taken: the next one looks again.
        if self.timer.poll_until(until, cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pace: &mut Pace, now: Instant, due: Due, ends: bool) -> Option<Step> {
        let cx = Context::from_waker(std::task::Waker::noop());
        let limits = FrontLimits::default();
        match pace.poll(now, &limits, due, ends, true, &cx) {
            Poll::Ready(step) => Some(step),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_is_due_has_the_time_of_a_head() {
        let begun = crate::clock::now();
        let limits = FrontLimits::default();
        let mut pace = Pace::new(begun);
        let late = begun + limits.head_timeout;
        assert_eq!(look(&mut pace, begun, Due::Settings, false), None);
        assert_eq!(look(&mut pace, late, Due::Fields, false), None, "a new one");
        assert_eq!(look(&mut pace, late, Due::Nothing, false), None);
        assert_eq!(look(&mut pace, late, Due::Fields, false), None);
        let too_late = Some(Step::TooLate(Due::Fields));
        let later = late + limits.head_timeout;
        assert_eq!(look(&mut pace, later, Due::Fields, false), too_late);
    }

    #[test]
    fn a_client_that_does_not_answer_ends_all_the_same() {
        let begun = crate::clock::now();
        let mut pace = Pace::new(begun);
        let announce = Some(Step::Announce);
        assert_eq!(look(&mut pace, begun, Due::Nothing, true), announce);
        pace.announced(begun);
        assert_eq!(look(&mut pace, begun, Due::Nothing, true), None);
        let answered = begun + ROUND_TRIP;
        let refuse = Some(Step::Refuse);
        assert_eq!(look(&mut pace, answered, Due::Nothing, true), refuse);
    }
}
