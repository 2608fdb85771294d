//! What the two halves of a stream share, with each other and with the channel's loop.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ostler_delegation::ChannelError;
use ostler_delegation::entry::ExchangeKey;
use ostler_delegation::pieces::Pieces;
use ostler_delegation::stream_entry::{BodyEntry, first_window};
use ostler_delegation::target::{HeadToSend, TargetShared};
use ostler_delegation::window::{SmallEntries, Window};
use ostler_shm::PushError;

/// A stream: its request's body as it arrives, and what may be sent of the response's.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) shared: Arc<TargetShared>,
    pub(super) key: ExchangeKey,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Of the request's body: arrived and not yet read.
    pub(super) arrived: Pieces,
    /// Nothing more of it arrives.
    pub(super) ended: bool,
    pub(super) trailers: Option<HeaderMap>,
    /// Bytes of it that the front may still send.
    pub(super) may_arrive: u32,
    pub(super) window: Window,
    /// The application has been given all that it wants of it.
    pub(super) stopped: bool,
    /// Bytes read.
    pub(super) read: u64,
    /// Credit has been given: the front keeps no copy of the whole any more.
    pub(super) committed: bool,
    /// The client waits to be told to send the body.
    pub(super) awaits_continue: bool,
    pub(super) reader: Option<Waker>,
    /// Bytes of the response's body that may be sent.
    pub(super) may_send: u32,
    pub(super) writer: Option<Waker>,
    pub(super) small: SmallEntries,
    /// The front wants nothing more.
    pub(super) broken: bool,
    /// The exchange is over: nothing more is said of it.
    pub(super) over: bool,
}

/// What is read of a request's body.
#[derive(Debug)]
pub(super) enum Read {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// The front has given the exchange up.
    Broken,
    /// The exchange is over.
    Over,
}

/// An entry has not been put into the ring, and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotPut {
    /// The front wants nothing more of the exchange, or is gone.
    Unwanted,
    /// No entry holds it.
    TooLarge,
}

impl Stream {
    /// `prefix` is the start of the body, and all of it if `is_whole`.
    pub(super) fn new(
        shared: &Arc<TargetShared>,
        key: ExchangeKey,
        prefix: Bytes,
        is_whole: bool,
    ) -> Self {
        let first = first_window(shared.ring_capacity());
        let before = u32::try_from(prefix.len()).unwrap_or(u32::MAX);
        let mut arrived = Pieces::default();
        arrived.push(prefix);
        let state = State {
            arrived,
            ended: is_whole,
            trailers: None,
            may_arrive: first.saturating_sub(before),
            window: Window::new(shared.ring_capacity()),
            stopped: false,
            read: 0,
            committed: false,
            awaits_continue: false,
            reader: None,
            may_send: first,
            writer: None,
            small: SmallEntries::default(),
            broken: false,
            over: false,
        };
        Self {
            shared: Arc::clone(shared),
            key,
            state: Mutex::new(state),
        }
    }

    /// Takes in what the front says of it.
    pub(super) fn arrive(&self, entry: BodyEntry) -> Result<(), ChannelError> {
        let ExchangeKey { slot, exchange, .. } = self.key;
        let mut state = self.lock();
        match entry {
            BodyEntry::Data { data, is_last } => {
                let len = u32::try_from(data.len()).ok();
                let left = len.and_then(|len| state.may_arrive.checked_sub(len));
                state.may_arrive = left.ok_or(ChannelError::BeyondCredit { slot, exchange })?;
                if !state.stopped {
                    state.arrived.push(data);
                }
                state.ended |= is_last;
            }
            BodyEntry::Trailers(trailers) => {
                state.trailers = Some(trailers);
                state.ended = true;
            }
            BodyEntry::Credit(bytes) => {
                state.may_send = state.may_send.saturating_add(bytes);
                let writer = state.writer.take();
                drop(state);
                writer.into_iter().for_each(Waker::wake);
                return Ok(());
            }
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// The front wants nothing more of it: whoever waits for something learns so.
    pub(super) fn break_off(&self) {
        let mut state = self.lock();
        state.broken = true;
        let waiting = [state.reader.take(), state.writer.take()];
        drop(state);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// The next of the request's body.
    pub(super) fn poll_read(&self, cx: &Context<'_>) -> Poll<Read> {
        let mut state = self.lock();
        if let Some(data) = state.arrived.pop() {
            self.taken(&mut state, data.len());
            return Poll::Ready(Read::Data(data));
        }
        if state.ended {
            let trailers = state.trailers.take();
            return Poll::Ready(trailers.map_or(Read::End, Read::Trailers));
        }
        if state.over {
            return Poll::Ready(Read::Over);
        }
        if state.broken {
            return Poll::Ready(Read::Broken);
        }
        state.window.run_dry();
        if std::mem::take(&mut state.awaits_continue) {
            self.commit(&mut state);
            // An interim response may be left out; the front asks the client by itself then.
            let _ = self.send_interim(StatusCode::CONTINUE);
        }
        keep(&mut state.reader, cx);
        Poll::Pending
    }

    /// Bytes have been read: the front may send as many more.
    fn taken(&self, state: &mut State, len: usize) {
        state.read += len as u64;
        if let Some(credit) = state.window.take(len)
            && !state.ended
            && !state.over
        {
            self.commit(state);
            state.may_arrive = state.may_arrive.saturating_add(credit);
            self.shared.give_credit(self.key, credit);
        }
    }

    /// From here the front cannot begin anew elsewhere: what it sends now it does not keep.
    fn commit(&self, state: &mut State) {
        if !std::mem::replace(&mut state.committed, true) {
            self.shared.body_read(self.key);
        }
    }

    /// No more of the body is read.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        let is_wanted = !(state.ended || state.stopped || state.over);
        state.stopped = true;
        state.arrived.clear();
        if is_wanted {
            self.shared.stop_body(self.key);
        }
    }

    /// How many bytes of the response's body may be sent, once any may. `None`: nobody wants more.
    pub(super) fn poll_credit(&self, cx: &Context<'_>) -> Poll<Option<u32>> {
        let mut state = self.lock();
        if state.broken || state.over {
            return Poll::Ready(None);
        }
        if state.may_send > 0 {
            return Poll::Ready(Some(state.may_send));
        }
        keep(&mut state.writer, cx);
        Poll::Pending
    }

    /// How many may be sent now.
    pub(super) fn credit(&self) -> usize {
        self.lock().may_send as usize
    }

    /// Sends a head with the start of its body, within the credit there is.
    pub(super) fn send_head(&self, head: &HeadToSend<'_>) -> Result<(), PushError> {
        self.shared.send_head(self.key, head)?;
        self.lock().spend(head.data.len());
        Ok(())
    }

    /// Sends a piece of the response's body, within the credit there is.
    pub(super) fn send_data(&self, data: &[u8], is_last: bool) -> Result<(), PushError> {
        let mut state = self.lock();
        let sent = self
            .shared
            .send_data(self.key, data, is_last, &mut state.small);
        if sent.is_ok() {
            state.spend(data.len());
        }
        sent
    }

    /// Has `send` put an entry into the ring once there is room for it, and the front told.
    pub(super) fn poll_push(
        &self,
        cx: &Context<'_>,
        send: impl Fn() -> Result<(), PushError>,
    ) -> Poll<Result<(), NotPut>> {
        loop {
            match send() {
                Ok(()) => {
                    self.shared.wake();
                    return Poll::Ready(Ok(()));
                }
                Err(PushError::TooLarge) => return Poll::Ready(Err(NotPut::TooLarge)),
                Err(PushError::Full) => {}
                // The channel ends, and the front with it.
                Err(_) => return Poll::Ready(Err(NotPut::Unwanted)),
            }
            let mut state = self.lock();
            if state.broken || state.over {
                return Poll::Ready(Err(NotPut::Unwanted));
            }
            // Nobody tells of room in a channel that has ended.
            keep(&mut state.writer, cx);
            drop(state);
            if !self.shared.poll_room(cx.waker()) {
                self.shared.wake();
                return Poll::Pending;
            }
        }
    }

    /// Sends an interim response, if there is room for it now.
    pub(super) fn send_interim(&self, status: StatusCode) -> Result<(), PushError> {
        self.shared.send_head(
            self.key,
            &HeadToSend {
                status: status.as_u16(),
                length: None,
                fields: &HeaderMap::new(),
                data: &Bytes::new(),
                is_last: false,
            },
        )?;
        self.shared.wake();
        Ok(())
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn spend(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.may_send = self.may_send.saturating_sub(bytes);
    }
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    if !place
        .as_ref()
        .is_some_and(|waker| waker.will_wake(cx.waker()))
    {
        *place = Some(cx.waker().clone());
    }
}
