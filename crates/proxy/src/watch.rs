//! What a thread knows of each connection: its deadline, and how to wake it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::connection_counts::Counted;
use crate::data_rates::{DataRates, TooSlow};
use crate::limits::FrontLimits;
use crate::queues::Handoff;

/// What the worker knows of a connection: its deadline, and how to wake it.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Whose connection it is; none of a socket in the file system.
    client: Option<SocketAddr>,
    pub(crate) handoff: Rc<Handoff>,
    pub(crate) data_rates: DataRates,
    /// The connection's place among all there are.
    pub(crate) counted: Counted,
    deadline: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
    /// A further request is here while one is with a target.
    has_more: Cell<bool>,
    is_with_target: Cell<bool>,
}

impl Watch {
    pub(crate) fn new(
        socket: Rc<OwnedFd>,
        client: Option<SocketAddr>,
        counted: Counted,
    ) -> Rc<Self> {
        Rc::new(Self {
            client,
            handoff: Rc::default(),
            data_rates: DataRates::new(socket),
            counted,
            deadline: Cell::new(None),
            waker: RefCell::new(None),
            has_more: Cell::new(false),
            is_with_target: Cell::new(false),
        })
    }

    /// Whether the connection is to end with the exchange it is in.
    pub(crate) fn is_ending(&self) -> bool {
        self.counted.ending().get()
    }

    /// Notes whether a further request is here.
    pub(crate) fn set_has_more(&self, has_more: bool) {
        self.has_more.set(has_more);
    }

    /// Notes whether a target has its exchange.
    pub(crate) fn set_with_target(&self, is_with_target: bool) {
        self.is_with_target.set(is_with_target);
    }

    /// Whether the front has anything left to do for the connection: all but where a target has its
    /// exchange, has not been heard of since, and no further request is here, nor is the target's to read.
    pub(crate) fn needs_front(&self) -> bool {
        !self.is_with_target.get()
            || self.has_more.get()
            || self.handoff.has_event()
            || self.handoff.is_leased()
    }

    /// Wakes the connection if its time is up, or if it waits for a request and `draining`.
    pub(crate) fn check(&self, now: Instant, draining: bool) {
        self.handoff.rouse();
        if draining || self.is_ending() {
            self.handoff.lease_is_to_end();
        }
        if draining || self.is_expired(now) {
            self.wake();
        }
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    pub(crate) fn has_deadline(&self) -> bool {
        self.deadline.get().is_some()
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.deadline.get().is_some_and(|deadline| now >= deadline)
    }

    /// Whom [`check`](Self::check) wakes.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Acts on a client that sends or takes too slowly: its body is given up, which is answered
    /// where that is possible; a response that it does not take is cut off.
    pub(crate) fn judge_data_rate(&self, now: Instant, limits: &FrontLimits) {
        let rates = &self.data_rates;
        match rates.judge(now, limits, self.handoff.awaits_body()) {
            None => {}
            Some(TooSlow::Body) => {
                tracing::info!(
                    client = self.client.map(tracing::field::display),
                    "a client sends its body too slowly"
                );
                if rates.front_awaits_body() {
                    rates.give_body_up();
                } else {
                    self.handoff.body_is_too_slow();
                }
            }
            Some(TooSlow::Response) => {
                tracing::info!(
                    client = self.client.map(tracing::field::display),
                    "a client takes its response too slowly"
                );
                rates.reset();
            }
        }
    }
}

/// How long a request may take when the front is stopping, on a connection that has just begun or had an
/// exchange as short a time ago: it is likely to be on its way, and would be lost where the connection is
/// closed. Its answer tells the client that the connection ends.
pub(crate) const NEXT_REQUEST: Duration = Duration::from_secs(1);
