//! A WebSocket as both sides see it: messages to and from Python, frames to and from the client.

mod conversation;
mod python;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use pyo3::prelude::*;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub(crate) use self::conversation::run;
pub(crate) use self::python::PyWebSocket;
use crate::exchange::{HIGH_WATER, HttpExchange, Waiting, remember, resolve};
use crate::inbox::{Changed, Event, Inbox};
use crate::service::Shared;
use crate::wakers::Wakers;

/// A request for a WebSocket, and the conversation that it becomes.
#[derive(Debug)]
pub(crate) struct WebSocket {
    state: Mutex<State>,
    /// What the client is answered by until it is accepted.
    exchange: Arc<HttpExchange>,
    accept_key: HeaderValue,
    inbox: Arc<Inbox>,
    wakers: Arc<Wakers>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// The application has been told that a client wants to connect.
    told_connect: bool,
    incoming: Messages,
    outgoing: Messages,
    reader: Option<Waker>,
    writer: Option<Waker>,
    waiting: Waiting,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Phase {
    #[default]
    Connecting,
    /// Accepted, or answered by a response.
    Answered,
    /// The application has closed it.
    Closing(Close),
    /// It is over.
    Closed(Close),
}

/// Why a WebSocket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    code: u16,
    reason: String,
}

/// Messages that wait.
#[derive(Debug, Default)]
struct Messages {
    queue: VecDeque<Message>,
    /// Bytes in `queue`.
    held: usize,
}

impl Messages {
    fn push(&mut self, message: Message) {
        self.held += message.len();
        self.queue.push_back(message);
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.queue.pop_front()?;
        self.held -= message.len();
        Some(message)
    }

    fn is_full(&self) -> bool {
        self.held >= HIGH_WATER
    }
}

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_asked_for(head: &Parts) -> bool {
    let tokens = head.headers.get_all(header::UPGRADE).iter();
    let mut tokens = tokens
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    head.method == Method::GET && tokens.any(|token| token.trim().eq_ignore_ascii_case("websocket"))
}

/// The key to accept it by (RFC 6455 section 4.2.2), if it speaks the version that is spoken here.
pub(crate) fn accept_key(head: &Parts) -> Option<HeaderValue> {
    let version = head.headers.get(header::SEC_WEBSOCKET_VERSION)?;
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY)?;
    if version != "13" {
        return None;
    }
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()
}

impl WebSocket {
    pub(crate) fn new(
        accept_key: HeaderValue,
        exchange: Arc<HttpExchange>,
        shared: &Shared,
    ) -> Self {
        Self {
            state: Mutex::default(),
            exchange,
            accept_key,
            inbox: Arc::clone(&shared.inbox),
            wakers: Arc::clone(&shared.wakers),
        }
    }

    pub(crate) fn exchange(&self) -> &Arc<HttpExchange> {
        &self.exchange
    }

    /// Resolves the futures of whoever waits, on the event loop's thread.
    pub(crate) fn resolve(&self, py: Python<'_>) -> PyResult<()> {
        let futures = self.lock().waiting.take();
        resolve(py, futures)
    }

    /// Ready when more may be read from the client.
    fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.incoming.is_full() {
            return Poll::Ready(());
        }
        remember(&mut state.reader, cx);
        Poll::Pending
    }

    /// A message has come.
    fn put(self: &Arc<Self>, message: Message) {
        let mut state = self.lock();
        state.incoming.push(message);
        self.announce(state);
    }

    /// The next thing to tell the client: a message, or that the application has closed.
    fn poll_outgoing(self: &Arc<Self>, cx: &Context<'_>) -> Poll<Result<Message, Close>> {
        let mut state = self.lock();
        let was_full = state.outgoing.is_full();
        if let Some(message) = state.outgoing.pop() {
            if was_full && !state.outgoing.is_full() {
                self.announce(state);
            }
            return Poll::Ready(Ok(message));
        }
        if let Phase::Closing(close) = &state.phase {
            return Poll::Ready(Err(close.clone()));
        }
        remember(&mut state.writer, cx);
        Poll::Pending
    }

    /// It is over. The first reason stays.
    fn end(self: &Arc<Self>, close: Close) {
        let mut state = self.lock();
        match &state.phase {
            Phase::Closed(_) => return,
            Phase::Closing(by_application) => {
                state.phase = Phase::Closed(by_application.clone());
            }
            Phase::Connecting | Phase::Answered => state.phase = Phase::Closed(close),
        }
        state.reader = None;
        state.writer = None;
        self.announce(state);
    }

    /// The fields of a 101.
    fn accepted(&self, mut fields: HeaderMap) -> HeaderMap {
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept_key.clone());
        fields
    }

    fn announce(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let tell = state.waiting.tell();
        drop(state);
        if tell {
            let changed = Changed::WebSocket(Arc::clone(self));
            self.inbox.push(Event::Changed(changed));
        }
    }

    fn wake(&self, task: Option<Waker>) {
        if let Some(task) = task {
            self.wakers.wake(task);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the WebSocket when it is dropped, should it not have ended before.
#[derive(Debug)]
pub(crate) struct Handshake(pub(crate) Arc<WebSocket>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.end(Close::new(1006, ""));
    }
}
