//! The account of an exchange: begun when the request's head is there, closed once, by whoever ends
//! the exchange. The log's line `ostler::exchange`, the access log, [`PipelineStep::ended`], passive health checks and
//! the destination's count of requests are told from here, and nowhere else.
//!
//! [`PipelineStep::ended`]: crate::pipeline::PipelineStep::ended

mod leased;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use ostler_delegation::entry::Completed;
use ostler_model::{DestinationState, RequestGuard, RouteModel};

use crate::access_log::{LoggedRequest, Noted};
use crate::health::Watched;
use crate::metrics::Measured;
use crate::outcome::{ForwarderError, Mode, Outcome, of_ending};
use crate::permits::Permits;
use crate::pipeline::{Pipeline, Step};
use crate::reason::Reason;

pub(crate) use leased::LeasedAccounts;

/// An exchange's account. It moves to the target's [`Handoff`](crate::queues::Handoff) while a
/// target has the request, and leaves an empty one behind: closing that does nothing, so that no
/// exchange is told of twice. One that is dropped open belongs to an exchange that was given up, and
/// is told of as that.
#[derive(Debug)]
pub(crate) struct Account(Option<Open>);

/// What an account holds until it is closed.
#[derive(Debug)]
struct Open {
    pipeline: Arc<Pipeline>,
    head_received_ns: u64,
    mode: Mode,
    reason: Option<Reason>,
    /// When the exchange was sent the way that it took.
    decided_ns: Option<u64>,
    route: Option<Arc<RouteModel>>,
    destination: Option<Arc<DestinationState>>,
    /// Counts the exchange at its destination.
    guard: Option<RequestGuard>,
    permits: Permits,
    /// The passive health check that is told how the exchange ended.
    watched: Option<Box<Watched>>,
    first_byte_ns: Option<u64>,
    /// What the access log will need, if there is one.
    noted: Option<Box<Noted>>,
    /// The metrics that it is part of, if there are any.
    measured: Option<Measured>,
}

/// Who is told of an exchange beside the pipeline's steps.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) noted: Option<Box<Noted>>,
    pub(crate) measured: Option<Measured>,
}

/// What a client has been given of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// The response's status; 0 where the client was given nothing.
    pub(crate) status: u16,
    /// Bytes, head included.
    pub(crate) bytes: u64,
}

impl Given {
    pub(crate) const NOTHING: Self = Self {
        status: 0,
        bytes: 0,
    };

    /// This many bytes of a response.
    pub(crate) fn of(status: StatusCode, bytes: u64) -> Self {
        match bytes {
            0 => Self::NOTHING,
            _ => Self {
                status: status.as_u16(),
                bytes,
            },
        }
    }
}

impl Account {
    /// An exchange begins: its head is there, and noted where there is an access log.
    pub(crate) fn begin(pipeline: Arc<Pipeline>, told: Told) -> Self {
        let Told { noted, measured } = told;
        Self(Some(Open {
            pipeline,
            head_received_ns: ostler_shm::monotonic_nanoseconds(),
            mode: Mode::Local,
            reason: None,
            decided_ns: None,
            route: None,
            destination: None,
            guard: None,
            permits: Permits::default(),
            watched: None,
            first_byte_ns: None,
            noted,
            measured,
        }))
    }

    /// What came is no request, and this is how it begins.
    pub(crate) fn is_malformed(&mut self, input: &[u8]) {
        let noted = self.0.as_mut().and_then(|open| open.noted.as_mut());
        if let Some(noted) = noted {
            noted.set_request(LoggedRequest::malformed(input));
        }
    }

    /// A route has matched.
    pub(crate) fn matched(&mut self, route: &Arc<RouteModel>) {
        if let Some(open) = &mut self.0 {
            open.route = Some(Arc::clone(route));
        }
    }

    /// The exchange holds these until it is over.
    pub(crate) fn hold(&mut self, permits: Permits) {
        if let Some(open) = &mut self.0 {
            open.permits = permits;
        }
    }

    /// A destination has been decided on; `watched` is told how the exchange ends there.
    pub(crate) fn decided(
        &mut self,
        destination: &Arc<DestinationState>,
        watched: Option<Box<Watched>>,
    ) {
        if let Some(open) = &mut self.0 {
            open.guard = Some(destination.begin_request());
            open.destination = Some(Arc::clone(destination));
            open.watched = watched;
        }
    }

    /// The exchange failed where it was, with nothing sent, and goes on at another destination.
    pub(crate) fn decided_anew(&mut self, other: &Arc<DestinationState>, error: ForwarderError) {
        let Some(open) = &mut self.0 else { return };
        if let (Some(watched), Some(before)) = (&open.watched, &open.destination) {
            // What the client would have been answered.
            let status = StatusCode::BAD_GATEWAY.as_u16();
            watched.report(before, status, Some(error));
        }
        open.guard = Some(other.begin_request());
        open.destination = Some(Arc::clone(other));
        if let Some(measured) = &open.measured {
            measured.goes_elsewhere();
        }
    }

    /// The way that the exchange takes from here.
    pub(crate) fn goes(&mut self, mode: Mode) {
        if let Some(open) = &mut self.0 {
            open.mode = mode;
        }
    }

    /// Why the exchange is not delegated.
    pub(crate) fn because(&mut self, reason: Reason) {
        if let Some(open) = &mut self.0 {
            open.reason = Some(reason);
        }
    }

    /// The front answers itself. Of an exchange that went somewhere before, why it was not delegated has been
    /// said.
    pub(crate) fn answered_because(&mut self, reason: Reason) {
        if let Some(open) = &mut self.0
            && open.mode == Mode::Local
        {
            open.reason = Some(reason);
        }
    }

    /// It has been decided where the exchange goes, and it goes there.
    pub(crate) fn sent(&mut self) {
        let is_told = |open: &Open| open.measured.is_some() || open.noted.is_some();
        if self.0.as_ref().is_some_and(is_told) {
            self.sent_at(ostler_shm::monotonic_nanoseconds());
        }
    }

    /// The same, of an exchange that went there at this time.
    pub(crate) fn sent_at(&mut self, now_ns: u64) {
        if let Some(open) = &mut self.0 {
            open.decided_ns = Some(now_ns);
        }
    }

    /// The response has begun to arrive.
    pub(crate) fn first_byte(&mut self) {
        if let Some(open) = &mut self.0 {
            open.first_byte_ns = Some(ostler_shm::monotonic_nanoseconds());
        }
    }

    /// When the head was there, by `CLOCK_MONOTONIC`.
    pub(crate) fn head_received_ns(&self) -> u64 {
        self.0.as_ref().map_or(0, |open| open.head_received_ns)
    }

    /// The route's id, once one has matched.
    pub(crate) fn route_id(&self) -> &str {
        let route = self.0.as_ref().and_then(|open| open.route.as_ref());
        route.map_or("", |route| &route.config.route_id)
    }

    /// Whether the exchange's pipeline has a delegation step.
    pub(crate) fn may_delegate(&self) -> bool {
        let open = self.0.as_ref();
        open.is_some_and(|open| open.pipeline.delegates())
    }

    /// Whether others may be waiting for what the exchange holds, so that its end must be known at
    /// once.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|open| open.permits.are_given_back())
    }

    /// Gives the account to the target that has the exchange from here on.
    pub(crate) fn hand_over(&mut self) -> Self {
        self.goes(Mode::Delegated);
        if let Some(open) = &mut self.0 {
            open.reason = None;
        }
        Self(self.0.take())
    }

    /// Takes the account back from a target that has not ended the exchange. False where the target
    /// has.
    pub(crate) fn take_back(&mut self, from: Option<Self>) -> bool {
        let Some(account) = from else { return false };
        *self = account;
        self.goes(Mode::Local);
        self.0.is_some()
    }

    /// The exchange is over: the client has been given this of a response.
    pub(crate) fn close(&mut self, given: Given, error: Option<ForwarderError>) {
        let Some(open) = self.0.take() else { return };
        open.close(given.status, error, |head_received_ns| {
            let now = ostler_shm::monotonic_nanoseconds();
            let duration = Duration::from_nanos(now.saturating_sub(head_received_ns));
            Outcome::local(given.status, given.bytes, duration)
        });
    }

    /// The exchange is over, by the word of its target.
    pub(crate) fn close_completed(&mut self, completed: &Completed) {
        let Some(open) = self.0.take() else { return };
        let error = of_ending(completed.ending, completed.status);
        open.close(completed.status, error, |head_received_ns| {
            let now = ostler_shm::monotonic_nanoseconds();
            // A target's stamps are its word: none lies before the head's arrival or in the future.
            let since = |stamp_ns: u64| {
                Duration::from_nanos(stamp_ns.min(now).saturating_sub(head_received_ns))
            };
            let duration = since(completed.completed_ns);
            Outcome {
                bytes_received: Some(completed.body_received),
                queued: Some(since(completed.received_ns)),
                first_byte: (completed.first_byte_ns != 0).then(|| since(completed.first_byte_ns)),
                ..Outcome::local(completed.status, completed.bytes_sent, duration)
            }
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close(Given::NOTHING, Some(ForwarderError::RequestCanceled));
    }
}

impl Open {
    /// Tells whoever is told of ends; `measured` has the numbers, by the time of the head's arrival.
    fn close(
        self,
        status: u16,
        error: Option<ForwarderError>,
        measured: impl FnOnce(u64) -> Outcome,
    ) {
        drop((self.guard, self.permits));
        if let (Some(watched), Some(destination)) = (self.watched, &self.destination) {
            watched.report(destination, status, error);
        }
        let is_counted = self.noted.is_some() || self.measured.is_some();
        if !is_counted && !is_told(&self.pipeline) {
            return;
        }
        let outcome = measured(self.head_received_ns);
        let since =
            |stamp_ns: u64| Duration::from_nanos(stamp_ns.saturating_sub(self.head_received_ns));
        let outcome = Outcome {
            route: self.route,
            destination: self.destination,
            mode: self.mode,
            reason: self.reason,
            decided: self.decided_ns.map(since),
            first_byte: outcome.first_byte.or(self.first_byte_ns.map(since)),
            error,
            ..outcome
        };
        log(&outcome);
        if let Some(noted) = &self.noted {
            noted.write(&outcome);
        }
        if let Some(measured) = self.measured {
            measured.end(&outcome);
        }
        for step in self.pipeline.steps.iter().rev() {
            if let Step::Custom(step) = step {
                step.ended(&outcome);
            }
        }
    }
}

/// Whether anybody listens beside access log and metrics: making an outcome costs.
fn is_told(pipeline: &Pipeline) -> bool {
    let is_custom = |step: &Step| matches!(step, Step::Custom(_));
    is_logged() || pipeline.steps.iter().any(is_custom)
}

fn is_logged() -> bool {
    tracing::enabled!(target: "ostler::exchange", tracing::Level::DEBUG)
}

fn log(outcome: &Outcome) {
    if !is_logged() {
        return;
    }
    let route: Option<&Arc<RouteModel>> = outcome.route.as_ref();
    let destination = outcome.destination.as_ref();
    tracing::debug!(
        target: "ostler::exchange",
        route = route.map_or("", |route| &route.config.route_id),
        destination = destination.map_or("", |destination| destination.id()),
        mode = outcome.mode.as_str(),
        status = outcome.status,
        bytes_sent = outcome.bytes_sent,
        bytes_received = outcome.bytes_received,
        queued_micros = outcome.queued.map(micros),
        first_byte_micros = outcome.first_byte.map(micros),
        micros = micros(outcome.duration),
        error = outcome.error.map(|error| format!("{error:?}")),
        "exchange"
    );
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
