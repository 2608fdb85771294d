//! A stream: an exchange whose bytes travel in a channel's rings, as the one who waits for it sees it.

mod body;
mod tunnel;
mod upload;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use ostler_delegation::entry::ExchangeKey;
use ostler_delegation::pieces::Pieces;
use ostler_delegation::stream_entry::{BodyEntry, StreamHead};
use ostler_delegation::window::Window;
use ostler_delegation::{Ending, Stage};
use ostler_shm::PushError;

use super::channel::Channel;
use super::handoff::Event;

pub(crate) use body::{StreamError, StreamedBody};
pub(crate) use tunnel::StreamTunnel;
pub(crate) use upload::Uploading;

/// Interim responses that are kept until they are passed on; a target may send any number.
const MOST_INTERIM: usize = 16;

/// What the channel and the exchange share of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: ExchangeKey,
    /// When it was put into the ring, by the worker's coarse clock.
    queued_at: Instant,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    interim: VecDeque<StreamHead>,
    /// Of the final response.
    head: Option<StreamHead>,
    /// Arrived and not yet taken.
    body: Pieces,
    trailers: Option<HeaderMap>,
    /// All of the response is here.
    is_whole: bool,
    /// The target wants no more of the request's body.
    stopped: bool,
    window: Window,
    /// What ends or interrupts the exchange.
    event: Option<Event>,
    /// It is with the target no more, or nobody waits for it.
    is_over: bool,
    waker: Option<Waker>,
}

impl Stream {
    pub(super) fn new(key: ExchangeKey, ring_capacity: usize, queued_at: Instant) -> Rc<Self> {
        let state = State {
            interim: VecDeque::new(),
            head: None,
            body: Pieces::default(),
            trailers: None,
            is_whole: false,
            stopped: false,
            window: Window::new(ring_capacity),
            event: None,
            is_over: false,
            waker: None,
        };
        Rc::new(Self {
            key,
            queued_at,
            state: RefCell::new(state),
        })
    }

    /// A head has come.
    pub(super) fn head(&self, mut head: StreamHead) {
        let mut state = self.state.borrow_mut();
        if head.status < 200 && head.status != 101 {
            if state.interim.len() < MOST_INTERIM {
                state.interim.push_back(head);
            }
        } else if state.head.is_none() && !state.is_whole {
            state.body.push(std::mem::take(&mut head.data));
            state.is_whole = head.is_last;
            state.head = Some(head);
        }
        drop(state);
        self.wake();
    }

    /// Something of its bodies has come.
    pub(super) fn arrive(&self, entry: BodyEntry) {
        let mut state = self.state.borrow_mut();
        match entry {
            BodyEntry::Data { data, is_last } => {
                state.body.push(data);
                state.is_whole |= is_last;
            }
            BodyEntry::Trailers(trailers) => {
                state.trailers = Some(trailers);
                state.is_whole = true;
            }
            // Counted by the channel; who waits looks again.
            BodyEntry::Credit(_) => {}
        }
        drop(state);
        self.wake();
    }

    pub(super) fn stop(&self) {
        self.state.borrow_mut().stopped = true;
        self.wake();
    }

    /// Ends or interrupts the exchange.
    pub(super) fn happen(&self, event: Event) {
        let mut state = self.state.borrow_mut();
        state.is_over |= matches!(event, Event::Completed(_) | Event::TargetDied(_));
        state.event = Some(event);
        drop(state);
        self.wake();
    }

    /// Whether something has happened that nobody has taken in.
    pub(super) fn has_event(&self) -> bool {
        self.state.borrow().event.is_some()
    }

    /// Looks whether it has waited for too long.
    pub(super) fn check(&self, now: Instant, stage: Stage, wait_timeout: Duration) {
        let waited = now.saturating_duration_since(self.queued_at);
        if stage == Stage::Queued && waited >= wait_timeout && !self.has_event() {
            self.happen(Event::WaitedTooLong);
        }
    }

    fn wake(&self) {
        let waker = self.state.borrow_mut().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn keep(&self, cx: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        let known = state.waker.as_ref();
        if !known.is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
    }
}

/// What comes while the response is waited for.
#[derive(Debug)]
pub(crate) enum Heard {
    Interim(StreamHead),
    Head(StreamHead),
    Event(Event),
}

/// A stream that somebody waits for. Dropped before its end it is taken back, or cancelled.
#[derive(Debug)]
pub(crate) struct StreamHandle {
    channel: Rc<Channel>,
    stream: Rc<Stream>,
}

impl StreamHandle {
    pub(super) fn new(channel: &Rc<Channel>, stream: &Rc<Stream>) -> Self {
        Self {
            channel: Rc::clone(channel),
            stream: Rc::clone(stream),
        }
    }

    pub(crate) fn channel(&self) -> &Rc<Channel> {
        &self.channel
    }

    /// How far the target says it is.
    pub(crate) fn stage(&self) -> Stage {
        self.channel.stage(self.stream.key)
    }

    /// Whether no other target can begin with the request any more.
    fn is_committed(&self) -> bool {
        matches!(
            self.stage(),
            Stage::Received { body_read: true } | Stage::Responding
        )
    }

    /// Takes the request back; false when the target has it.
    pub(crate) fn withdraw(&self) -> bool {
        let withdrawn = self.channel.withdraw_stream(&self.stream);
        self.stream.state.borrow_mut().is_over |= withdrawn;
        withdrawn
    }

    /// The next thing that the target says of the response, or what happens to it.
    pub(crate) fn poll_heard(&self, cx: &Context<'_>) -> Poll<Heard> {
        let mut state = self.stream.state.borrow_mut();
        if let Some(interim) = state.interim.pop_front() {
            return Poll::Ready(Heard::Interim(interim));
        }
        if let Some(head) = state.head.take() {
            return Poll::Ready(Heard::Head(head));
        }
        if let Some(event) = state.event.take() {
            return Poll::Ready(Heard::Event(event));
        }
        drop(state);
        self.stream.keep(cx);
        Poll::Pending
    }

    /// The next piece of the response's body; `None` is its end, behind which trailers may be.
    fn poll_data(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        let mut state = self.stream.state.borrow_mut();
        if let Some(data) = state.body.pop() {
            let credit = match state.is_whole {
                true => None,
                false => state.window.take(data.len()),
            };
            drop(state);
            if let Some(credit) = credit {
                self.channel.give_credit(self.stream.key, credit);
            }
            return Poll::Ready(Some(Ok(data)));
        }
        if state.is_whole {
            return Poll::Ready(None);
        }
        match state.event.take() {
            // As an application ends that lets go of a connection whose protocol it has switched.
            Some(Event::Completed(completed)) if completed.ending == Ending::Answered => {
                state.is_whole = true;
                return Poll::Ready(None);
            }
            Some(Event::Completed(completed)) => {
                return Poll::Ready(Some(Err(StreamError::Ended(completed.ending))));
            }
            Some(Event::TargetDied(_)) => {
                return Poll::Ready(Some(Err(StreamError::TargetDied)));
            }
            // What interrupts a request that waits means nothing to one that is being answered.
            Some(_) | None => {}
        }
        state.window.run_dry();
        drop(state);
        self.stream.keep(cx);
        Poll::Pending
    }

    /// What follows a response that switches the protocol.
    pub(crate) fn into_tunnel(self) -> StreamTunnel {
        StreamTunnel::new(self)
    }

    fn take_trailers(&self) -> Option<HeaderMap> {
        self.stream.state.borrow_mut().trailers.take()
    }

    /// Whether all of the response is here and taken.
    fn is_at_end(&self) -> bool {
        let state = self.stream.state.borrow();
        state.is_whole && state.body.is_empty() && state.trailers.is_none()
    }

    /// Whether anything that is sent now is looked at.
    fn takes_body(&self) -> bool {
        let state = self.stream.state.borrow();
        !(state.stopped || state.is_over)
    }

    /// Sends as much of the request's body as may be sent, until all of `data` is. `is_last`: it is the
    /// end of it.
    fn poll_send(&self, cx: &Context<'_>, data: &mut Bytes, is_last: bool) -> Poll<()> {
        loop {
            // A piece of a body has bytes, or is the last.
            if !self.takes_body() || (data.is_empty() && !is_last) {
                return Poll::Ready(());
            }
            let most = self.channel.may_send(self.stream.key);
            if most == 0 && !data.is_empty() {
                self.stream.keep(cx);
                return Poll::Pending;
            }
            let most = most.min(self.channel.longest_data());
            let part = data.slice(..data.len().min(most));
            let ends = is_last && part.len() == data.len();
            let key = self.stream.key;
            ready!(self.poll_push(cx, || self.channel.send_data(key, &part, ends)));
            let _ = data.split_to(part.len());
            if data.is_empty() {
                return Poll::Ready(());
            }
        }
    }

    /// Ends the request's body with trailers.
    fn poll_send_trailers(&self, cx: &Context<'_>, trailers: &HeaderMap) -> Poll<()> {
        let key = self.stream.key;
        self.poll_push(cx, || match self.channel.send_trailers(key, trailers) {
            // They are nothing that a request needs: it ends without them.
            Err(PushError::TooLarge) => self.channel.send_data(key, &[], true),
            sent => sent,
        })
    }

    /// Puts an entry into the ring once there is room for it. A ring that is broken is its channel's
    /// end, of which the stream hears.
    fn poll_push(&self, cx: &Context<'_>, push: impl Fn() -> Result<(), PushError>) -> Poll<()> {
        match push() {
            Err(PushError::Full) => {
                self.stream.keep(cx);
                self.channel.wait_for_room(cx.waker());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl StreamHandle {
    /// Nobody waits for it any more, whatever has been said.
    fn give_up(&self) {
        let is_over = self.stream.state.borrow().is_over;
        if !is_over && !self.channel.withdraw_stream(&self.stream) {
            self.channel.cancel_stream(&self.stream);
        }
    }
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        let state = self.stream.state.borrow();
        // The target's last word is still to come, and needs nobody.
        let is_answered = state.is_whole && state.head.is_none();
        drop(state);
        if !is_answered {
            self.give_up();
        }
    }
}
